// Draws one dashboard from its JSON and from what Prometheus answered, with the components that Grafana publishes.
import '@fontsource/inter/latin-400.css';
import '@fontsource/inter/latin-500.css';
import {
  applyFieldOverrides, cacheFieldDisplayNames, createDataFrame, createTheme, FieldType, getDisplayValueAlignmentFactors, getFieldDisplayValues,
  identityOverrideProcessor, Registry, standardTransformers, ThemeContext, toUtc, VizOrientation,
} from '@grafana/data';
import type { DataFrame, DataTransformerConfig, DynamicConfigValue, FieldConfigPropertyItem, FieldDisplay, GrafanaTheme2, TimeRange } from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { BarGauge, BigValue, GlobalStyles, Icon, PanelChrome, PortalContainer, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { useLayoutEffect } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import { lastValueFrom, of } from 'rxjs';
import uPlot from 'uplot';

type Series = { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] };
type Target = { refId: string; legendFormat?: string; format?: string; result: Series[] };
type Mark = { name: string; iconColor: string; useValueForTime?: boolean; result: Series[] };
type Panel = {
  id: number;
  type: string;
  title: string;
  description?: string;
  transparent?: boolean;
  gridPos: { x: number; y: number; w: number; h: number };
  links?: { title: string }[];
  targets?: Target[];
  transformations?: DataTransformerConfig[];
  options?: any;
  fieldConfig: { defaults: any; overrides: any[] };
};
type Dashboard = { title: string; panels: Panel[]; annotations: { list: Mark[] } };
type Recording = { start: number; end: number; step: number };
type Content = { panel: Panel; frames: DataFrame[]; width: number; height: number };

// Grafana's own measures of its grid (public/app/core/constants.ts), which it does not publish.
const CELL = 30;
const GAP = 8;
const COLUMNS = 24;
const PADDING = 16;
const SETTLED = 1500; // milliseconds

declare global {
  interface Window {
    draw: (dashboard: Dashboard, recording: Recording, mode: 'dark' | 'light') => Promise<string[]>;
  }
}

let root: Root | undefined;
let theme: GrafanaTheme2;
let timeRange: TimeRange;
let step: number;
let marks: { time: number; color: string }[];
const TIME_ZONE = 'utc';

const number = (text: string) => (text === 'NaN' ? NaN : Number(text.replace('Inf', 'Infinity')));

/** The name that Grafana's data source gives a series: the legend filled in, or the series as Prometheus writes it. */
function nameOf({ metric }: Series, legend?: string): string {
  if (legend) return legend.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => metric[label] ?? '');
  const { __name__ = '', ...labels } = metric;
  return `${__name__}{${Object.entries(labels).map(([label, value]) => `${label}="${value}"`).join(', ')}}`;
}

/** A target's answer as data frames, as the data source of type prometheus makes them. */
function framesOf({ refId, format, legendFormat, result }: Target): DataFrame[] {
  const points = (series: Series) => series.values ?? (series.value ? [series.value] : []);
  if (format === 'table') {
    if (!result.length) return [];
    const rows = result.flatMap((series) => points(series).map(([time, value]) => ({ time, value, metric: series.metric })));
    const labels = [...new Set(result.flatMap((series) => Object.keys(series.metric)))].sort();
    return [
      createDataFrame({
        refId,
        fields: [
          { name: 'Time', type: FieldType.time, values: rows.map((row) => row.time * 1000) },
          ...labels.map((name) => ({ name, type: FieldType.string, values: rows.map((row) => row.metric[name] ?? '') })),
          { name: 'Value', type: FieldType.number, values: rows.map((row) => number(row.value)) },
        ],
      }),
    ];
  }
  return result.map((series) =>
    createDataFrame({
      refId,
      fields: [
        // The interval makes a missing scrape a gap in the line.
        { name: 'Time', type: FieldType.time, config: { interval: step }, values: points(series).map(([time]) => time * 1000) },
        {
          name: 'Value',
          type: FieldType.number,
          labels: series.metric,
          config: { displayNameFromDS: nameOf(series, legendFormat) },
          values: points(series).map(([, value]) => number(value)),
        },
      ],
    })
  );
}

/** Grafana's configFromData, which is not published: the last value of one query becomes a setting of the others. */
function configFromData(frames: DataFrame[], { configRefId, mappings }: any): DataFrame[] {
  const settings: Record<string, number> = {};
  for (const frame of frames.filter((one) => one.refId === configRefId)) {
    for (const field of frame.fields) {
      const mapping = mappings.find((one: any) => [field.config.displayNameFromDS, field.name].includes(one.fieldName));
      if (mapping) settings[mapping.handlerKey] = field.values[field.values.length - 1];
    }
  }
  return frames
    .filter((frame) => frame.refId !== configRefId)
    .map((frame) => ({
      ...frame,
      fields: frame.fields.map((field) => (field.type === FieldType.number ? { ...field, config: { ...field.config, ...settings } } : field)),
    }));
}

async function transformed(frames: DataFrame[], steps: DataTransformerConfig[] = []): Promise<DataFrame[]> {
  for (const { id, options } of steps) {
    if (id === 'configFromData') {
      frames = configFromData(frames, options);
      continue;
    }
    const known = Object.values(standardTransformers).find((one) => one.id === id);
    if (!known) throw new Error(`The transformation ${id} is not among those that Grafana publishes.`);
    const operator = (known as any).operator({ ...known.defaultOptions, ...options }, { interpolate: (text: string) => text });
    frames = (await lastValueFrom(of(frames).pipe(operator))) as DataFrame[];
  }
  return frames;
}

/** The settings that a panel uses. Grafana applies only registered ones, and registers them in its application. */
function registry({ defaults, overrides }: Panel['fieldConfig']): Registry<FieldConfigPropertyItem> {
  const { custom = {}, ...standard } = defaults;
  const changed = overrides.flatMap((rule) => rule.properties.map((one: DynamicConfigValue) => one.id)) as string[];
  const ids = new Set([...Object.keys(standard), ...Object.keys(custom).map((key) => `custom.${key}`), ...changed]);
  return new Registry<FieldConfigPropertyItem>(() =>
    [...ids].map((id) => ({
      id,
      path: id.replace(/^custom\./, ''),
      name: id,
      isCustom: id.startsWith('custom.'),
      shouldApply: () => true,
      process: identityOverrideProcessor,
      override: () => null,
      editor: () => null,
      settings: {},
    }))
  );
}

async function dataOf(panel: Panel): Promise<DataFrame[]> {
  const frames = applyFieldOverrides({
    data: await transformed((panel.targets ?? []).flatMap(framesOf), panel.transformations),
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registry(panel.fieldConfig),
    replaceVariables: (text) => text,
    theme,
    timeZone: TIME_ZONE,
  });
  // A table's head shows only names that are kept.
  cacheFieldDisplayNames(frames);
  return frames;
}

/** Lines where the dashboard's annotations are; Grafana's own are part of its application. */
function Marks({ builder }: { builder: any }) {
  useLayoutEffect(() => {
    builder.addHook('draw', (plot: uPlot) => {
      plot.ctx.save();
      plot.ctx.setLineDash([5, 5]);
      plot.ctx.lineWidth = 2;
      for (const { time, color } of marks) {
        const x = Math.round(plot.valToPos(time, 'x', true));
        plot.ctx.strokeStyle = color;
        plot.ctx.beginPath();
        plot.ctx.moveTo(x, plot.bbox.top);
        plot.ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
        plot.ctx.stroke();
      }
      plot.ctx.restore();
    });
  }, [builder]);
  return null;
}

/** Moments of an annotation: the value itself, or where a run of samples begins (gaps are runs' ends). */
function momentsOf({ useValueForTime, result }: Mark): number[] {
  const found = result.flatMap(({ values = [] }) =>
    useValueForTime
      ? values.map(([, value]) => Number(value))
      : values.filter(([time], index) => !index || time - values[index - 1][0] > 90).map(([time]) => time * 1000)
  );
  return [...new Set(found)].filter((time) => time >= timeRange.from.valueOf() && time <= timeRange.to.valueOf());
}

/** A gauge as Grafana draws it, roughly: 13 does not publish its own component. */
function Dial({ value: { display, field }, width, height }: { value: FieldDisplay; width: number; height: number }) {
  const { percent = 0, color, text, suffix = '', prefix = '' } = display;
  const [radius, words] = [Math.min(width / 2, height / 1.75) * 0.85, prefix + text + suffix];
  const size = Math.min(radius * 0.4, (radius * 2.2) / words.length);
  /** A part of the ring, from one share of it to another. */
  const part = (from: number, to: number, stroke: string | undefined, r: number, strokeWidth: number) => {
    const [whole, start, end] = [1.5 * Math.PI * r, Math.max(0, from), Math.min(1, to)];
    const dashes = `0 ${start * whole} ${Math.max(0, end - start) * whole} ${10 * whole}`;
    return <circle key={`${r} ${from}`} {...{ r, stroke, strokeWidth }} fill="none" strokeDasharray={dashes} transform="rotate(135)" />;
  };
  const [min, max, thresholds] = [field.min ?? 0, field.max ?? 100, field.thresholds];
  const ends = (thresholds?.steps ?? []).map((one) => (thresholds?.mode === 'percentage' ? one.value / 100 : (one.value - min) / (max - min)));
  return (
    <svg width={width} height={height} viewBox={`${-width / 2} ${-height * 0.54} ${width} ${height}`}>
      {part(0, 1, theme.colors.background.secondary, radius * 0.87, radius * 0.2)}
      {part(0, percent, color, radius * 0.87, radius * 0.2)}
      {thresholds?.steps.map((one, index) => part(ends[index], ends[index + 1] ?? 1, theme.visualization.getColorByName(one.color), radius * 1.02, radius * 0.04))}
      <text textAnchor="middle" dominantBaseline="central" fill={color} fontSize={size} fontWeight={500}>
        {words}
      </text>
    </svg>
  );
}

function Values({ panel, frames, width, height }: Content) {
  const { type, options, fieldConfig } = panel;
  const shown = () =>
    getFieldDisplayValues({
      fieldConfig,
      reduceOptions: options.reduceOptions,
      replaceVariables: (text) => text,
      theme,
      data: frames,
      sparkline: type === 'stat' && options.graphMode !== 'none',
      percentChange: options.showPercentChange,
      timeZone: TIME_ZONE,
    });
  return (
    <VizRepeater<FieldDisplay, any>
      getValues={shown}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      source={frames}
      width={width}
      height={height}
      itemSpacing={3}
      renderCounter={0}
      autoGrid
      orientation={options.orientation ?? VizOrientation.Auto}
      minVizWidth={options.minVizWidth}
      minVizHeight={options.minVizHeight}
      renderValue={({ value, width, height, count, alignmentFactors, orientation }) => {
        const sizes = { width, height, theme, alignmentFactors };
        if (type === 'gauge') return <Dial value={value} width={width} height={height} />;
        if (type === 'bargauge') {
          return <BarGauge {...sizes} value={{ ...value.display, title: count > 1 ? value.display.title : undefined }} field={value.field} display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)} orientation={orientation} displayMode={options.displayMode} />;
        }
        const { colorMode, graphMode, justifyMode, textMode, wideLayout } = options;
        const sparkline = value.sparkline && { ...value.sparkline, timeRange };
        return <BigValue {...sizes} {...{ colorMode, graphMode, justifyMode, textMode, wideLayout, count, sparkline }} value={value.display} />;
      }}
    />
  );
}

function Inside(content: Content) {
  const { panel, frames, width, height } = content;
  const words = (text: string) => <div style={{ height, display: 'grid', placeItems: 'center', color: theme.colors.text.secondary }}>{text}</div>;
  if (['stat', 'gauge', 'bargauge'].includes(panel.type)) return <Values {...content} />;
  if (!['timeseries', 'table'].includes(panel.type)) return words(`${panel.type}: not drawn here`);
  if (!frames.some((frame) => frame.length)) return words('No data');
  if (panel.type === 'table') return <TableNG data={frames[0]} width={width} height={height} fieldConfig={panel.fieldConfig} />;
  return (
    <TimeSeries frames={frames} width={width} height={height} timeRange={timeRange} timeZone={TIME_ZONE} legend={panel.options.legend}>
      {(builder) => <Marks builder={builder} />}
    </TimeSeries>
  );
}

function PanelOf({ panel, frames, column }: { panel: Panel; frames: DataFrame[]; column: number }) {
  const { x, y, w, h } = panel.gridPos;
  const size = { width: w * column - GAP, height: h * (CELL + GAP) - GAP };
  const links = panel.links?.length ? <PanelChrome.TitleItem><Icon name="external-link-alt" /></PanelChrome.TitleItem> : undefined;
  return (
    <div data-panel={panel.title} style={{ position: 'absolute', left: x * column, top: y * (CELL + GAP), ...size }}>
      <PanelChrome {...size} title={panel.title} description={panel.description} titleItems={links} padding={panel.type === 'table' ? 'none' : 'md'} displayMode={panel.transparent ? 'transparent' : 'default'}>
        {(width: number, height: number) => <Inside {...{ panel, frames, width, height }} />}
      </PanelChrome>
    </div>
  );
}

/** What does not fit into its panel, as `panel: what`. */
function tooLarge(): string[] {
  return [...document.querySelectorAll<HTMLElement>('[data-panel]')].flatMap((panel) => {
    const found = [...panel.querySelectorAll<HTMLElement>('*')].flatMap((one) => {
      const { overflowY, textOverflow } = getComputedStyle(one);
      if (textOverflow === 'ellipsis' && one.scrollWidth > one.clientWidth + 1) return `cut off: ${one.textContent}`;
      const scrolls = overflowY === 'auto' && one.scrollHeight > one.clientHeight + 1;
      return scrolls ? `to be scrolled: ${one.clientHeight} of ${one.scrollHeight} pixels are seen` : [];
    });
    return [...new Set(found)].map((what) => `${panel.dataset.panel}: ${what}`);
  });
}

window.draw = async (dashboard, recording, mode) => {
  await initPluginTranslations('panels');
  theme = createTheme({ colors: { mode } });
  const [from, to] = [toUtc(recording.start * 1000), toUtc(recording.end * 1000)];
  timeRange = { from, to, raw: { from, to } };
  step = recording.step * 1000;
  marks = dashboard.annotations.list.flatMap((mark) =>
    momentsOf(mark).map((time) => ({ time, color: theme.visualization.getColorByName(mark.iconColor) }))
  );
  const frames = await Promise.all(dashboard.panels.map(dataOf));
  const place = document.getElementById('root')!;
  const column = (place.clientWidth - 2 * PADDING + GAP) / COLUMNS;
  const height = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h)) * (CELL + GAP);
  root ??= createRoot(place);
  root.render(
    <ThemeContext.Provider key={`${dashboard.title} ${mode}`} value={theme}>
      <GlobalStyles />
      <div style={{ padding: PADDING, background: theme.colors.background.canvas }}>
        <h3>{dashboard.title}</h3>
        <div style={{ position: 'relative', height }}>
          {dashboard.panels.map((panel, index) => <PanelOf key={panel.id} panel={panel} frames={frames[index]} column={column} />)}
        </div>
      </div>
      <PortalContainer />
    </ThemeContext.Provider>
  );
  // No event says that all charts are drawn and all icons are there.
  await new Promise((resolve) => setTimeout(resolve, SETTLED));
  return tooLarge();
};
