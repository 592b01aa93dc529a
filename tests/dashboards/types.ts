// What a dashboard's JSON may have: Grafana's own types, with an enumeration's values written as the texts they are.
import type { AnnotationQuery, Dashboard, FieldConfig, FieldConfigSource, GraphFieldConfig, Panel, TableFieldOptions, VariableModel } from '@grafana/schema';
import type { Options as GaugeOptions } from '@grafana/schema/dist/esm/raw/composable/gauge/panelcfg/x/GaugePanelCfg_types.gen';
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as TableOptions } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { Options as TimeSeriesOptions } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

type Written<T> = T extends string
  ? `${T}`
  : T extends (infer U)[]
    ? Written<U>[]
    : T extends object
      ? { [K in keyof T]: Written<T[K]> }
      : T;

type PanelOf<Type extends string, Options, Custom> = Omit<Panel, 'type' | 'options' | 'fieldConfig'> & {
  type: Type;
  options?: Partial<Options>;
  fieldConfig: Omit<FieldConfigSource, 'defaults'> & {
    defaults: Omit<FieldConfig, 'custom'> & { custom?: Partial<Custom> };
  };
};

type OurPanel =
  | PanelOf<'gauge', GaugeOptions, Record<string, never>>
  | PanelOf<'stat', StatOptions, Record<string, never>>
  | PanelOf<'table', TableOptions, TableFieldOptions>
  | PanelOf<'timeseries', TimeSeriesOptions, GraphFieldConfig>;

// What the data source of type prometheus adds to a query for marks, which @grafana/schema knows nothing of.
type PrometheusMarks = AnnotationQuery & {
  expr?: string;
  step?: string;
  tagKeys?: string;
  textFormat?: string;
  titleFormat?: string;
  useValueForTime?: boolean;
};
// The library that builds the dashboards writes what a variable of type interval has into every variable; Grafana passes over it.
type Variable = VariableModel & { auto?: boolean; auto_count?: number; auto_min?: string };

export type OurDashboard = Written<
  Omit<Dashboard, 'panels' | 'annotations' | 'templating'> & {
    panels: OurPanel[];
    annotations: { list: PrometheusMarks[] };
    templating: { list: Variable[] };
  }
>;
