"""What the dashboards are made of: panels in one style, levels with a reason, links, annotations.

How to add a panel, a dashboard or a link is in docs/dashboards.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from grafana_foundation_sdk.builders import common as commons
from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.builders import gauge as gauges
from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.builders import stat as stats
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.builders import timeseries as graphs
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, units
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

Panel = TypeVar("Panel", stats.Panel, gauges.Panel, graphs.Panel, tables.Panel)
AnyPanel = stats.Panel | gauges.Panel | graphs.Panel | tables.Panel

# The uid is that of the data source that the role provisions, on every host.
PROMETHEUS = models.DataSourceRef(type_val="prometheus", uid="prometheus")
# Where the runbooks are on the web. The role puts grafana_runbooks_url in its place.
RUNBOOKS = "https://github.com/labstack/labstack/blob/main/docs/runbooks.md"
OVERVIEW = ("¿Está todo bien?", "estado-general")

GREEN, ORANGE, RED, GRAY = "green", "orange", "red", "#808080"
# Text and colour where there is no value: nothing measured is neither good nor bad.
NOTHING = ("Sin datos", GRAY)
LINE_WIDTH, FILL = 2, 15  # pixels, %
# Grafana's own unit makes weeks of them, in English.
DAYS = "suffix: días"


@dataclass(frozen=True)
class Levels:
    """The colours of a panel.

    Attributes:
        steps: colour, and the value from which on it holds; the first holds below all others.
        because: Spanish; why these values. It ends the panel's description.
        mode: whether values are the panel's unit, or % of its range.
    """

    steps: Sequence[tuple[str, float | None]]
    because: str
    mode: models.ThresholdsMode = models.ThresholdsMode.ABSOLUTE

    def as_lines(self) -> Levels:
        """Return the same for lines across a graph: each has the worse colour of its two sides."""
        colors = [color for color, _ in self.steps]
        if colors[0] != RED:
            return self
        steps = zip([colors[-1], *colors], [value for _, value in self.steps], strict=False)
        return replace(self, steps=list(steps))


# Nothing to be afraid of, whatever the value.
NEUTRAL = Levels([(GREEN, None)], because="")


def too_much(*, because: str, orange: float | None = None, red: float | None = None) -> Levels:
    """Return levels of what must not rise."""
    above = [(color, at) for color, at in ((ORANGE, orange), (RED, red)) if at is not None]
    return Levels([(GREEN, None), *above], because)


def too_little(*, green: float, because: str, orange: float | None = None) -> Levels:
    """Return levels of what must not fall: red below `orange`, or below `green` without it."""
    warning = [(ORANGE, orange)] if orange is not None else []
    return Levels([(RED, None), *warning, (GREEN, green)], because)


# Of the page's certificate.
CERTIFICATE = too_little(
    orange=3,
    green=14,
    because="Rojo con menos de 3 días: salta CertificateExpiresNow. Naranja con menos de 14; "
    "uno de Let's Encrypt para una dirección vive seis, y nunca está verde.",
)


def query(expr: str, legend: str = "") -> prometheus.Dataquery:
    """Return a query over the dashboard's range; `legend` names its series ({{label}})."""
    return (
        prometheus.Dataquery()
        .expr(expr)
        .legend_format(legend)
        .datasource(PROMETHEUS)
        .editor_mode(QueryEditorMode.CODE)
        .range()
    )


def stat(
    title: str,
    expr: str,
    *,
    legend: str,
    description: str,
    unit: str,
    width: int,
    decimals: int = 0,
    levels: Levels = NEUTRAL,
    alerts: Sequence[str] = (),
    see: tuple[str, str] | None = None,
    words: dict[str, tuple[str, str]] | None = None,
    nothing: tuple[str, str] = NOTHING,
) -> stats.Panel:
    """Return one number on a coloured ground.

    Args:
        title: Spanish.
        expr: PromQL with one result.
        legend: the number's name.
        description: Spanish; what is counted, of whom, over what time.
        unit: one of grafana_foundation_sdk.models.units.
        width: of 24 columns.
        decimals: digits after the point; of seconds Grafana chooses them.
        levels: its colours.
        alerts: the alerts that watch the same; each links its runbook.
        see: title and uid of the dashboard with more of it.
        words: text and colour in place of a value.
        nothing: text and colour where there is no value.
    """
    panel = (
        stats.Panel()
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.BACKGROUND)
        .reduce_options(_last())
        .with_target(query(expr, legend).ref_id("A").instant())
        .height(5)
        .span(width)
    )
    without = models.DashboardSpecialValueMapOptions(
        match=models.SpecialValueMatch.NULL_AND_NAN,
        result=models.ValueMappingResult(text=nothing[0], color=nothing[1], index=0),
    )
    mappings: list[models.ValueMapping] = [models.SpecialValueMap(options=without)]
    if words:
        results = {
            value: models.ValueMappingResult(text=text, color=color, index=index)
            for index, (value, (text, color)) in enumerate(words.items(), 1)
        }
        mappings.append(models.ValueMap(options=results))
    panel.mappings(mappings).no_value(nothing[0])
    panel.color_scheme(_color(models.FieldColorModeId.THRESHOLDS))
    return _finished(
        panel,
        title=title,
        description=description,
        unit=unit,
        decimals=decimals,
        levels=levels,
        alerts=alerts,
        see=see,
    )


def state(
    title: str,
    expr: str,
    *,
    legend: str,
    description: str,
    width: int,
    alerts: Sequence[str] = (),
    see: tuple[str, str] | None = None,
    nothing: tuple[str, str] = NOTHING,
) -> stats.Panel:
    """Return "Bien" for 1 and "Mal" for 0."""
    return stat(
        title,
        expr,
        legend=legend,
        description=description,
        unit=units.Bool,
        width=width,
        levels=too_little(green=1, because="Rojo: no."),
        alerts=alerts,
        see=see,
        words={"0": ("Mal", RED), "1": ("Bien", GREEN)},
        nothing=nothing,
    )


def gauge(
    title: str,
    *targets: prometheus.Dataquery,
    description: str,
    unit: str,
    width: int,
    levels: Levels,
    height: int = 7,
    maximum: float | None = None,
    alerts: Sequence[str] = (),
    see: tuple[str, str] | None = None,
) -> gauges.Panel:
    """Return a dial from 0 to `maximum`; the other words are those of `stat`."""
    panel = gauges.Panel().reduce_options(_last()).min(0).height(height).span(width)
    if maximum is not None:
        panel.max(maximum)
    _ask(panel, targets)
    panel.color_scheme(_color(models.FieldColorModeId.THRESHOLDS))
    return _finished(
        panel,
        title=title,
        description=description,
        unit=unit,
        decimals=1,
        levels=levels,
        alerts=alerts,
        see=see,
    )


def graph(
    title: str,
    *targets: prometheus.Dataquery,
    description: str,
    unit: str,
    decimals: int = 0,
    width: int = 12,
    height: int = 9,
    maximum: float | None = None,
    at_least: float | None = None,
    stacked: bool = False,
    lowest: bool = False,
    levels: Levels = NEUTRAL,
    alerts: Sequence[str] = (),
    see: tuple[str, str] | None = None,
) -> graphs.Panel:
    """Return lines over time.

    Args:
        title: Spanish.
        targets: its queries.
        description: Spanish; what is counted, of whom, over what time.
        unit: one of grafana_foundation_sdk.models.units.
        decimals: digits after the point; of seconds Grafana chooses them.
        width: of 24 columns.
        height: in rows of 30 pixels.
        maximum: upper end of the axis; as high as the values without it.
        at_least: where the axis ends at the lowest. Without it, one of zeros alone ends at 100.
        stacked: whether the parts make a whole.
        lowest: whether the legend has the lowest value, not the highest.
        levels: dashed lines at its values.
        alerts: the alerts that watch the same; each links its runbook.
        see: title and uid of the dashboard with more of it.
    """
    lines = (
        common.GraphThresholdsStyleMode.OFF
        if levels is NEUTRAL
        else common.GraphThresholdsStyleMode.DASHED
    )
    panel = (
        graphs.Panel()
        .draw_style(common.GraphDrawStyle.LINE)
        .line_width(LINE_WIDTH)
        .fill_opacity(FILL)
        .show_points(common.VisibilityMode.NEVER)
        # A gap says that nothing was measured.
        .span_nulls(False)
        .thresholds_style(commons.GraphThresholdsStyleConfig().mode(lines))
        .legend(
            commons.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.TABLE)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "mean", "min" if lowest else "max"])
            # By the first of these, as Grafana heads it: what is gone comes last.
            .sort_by("Last *")
            .sort_desc(not lowest)
        )
        .tooltip(
            commons.VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.NONE)
        )
        .color_scheme(_color(models.FieldColorModeId.PALETTE_CLASSIC))
        .min(0)
        .height(height)
        .span(width)
    )
    if maximum is not None:
        panel.max(maximum)
    if at_least is not None:
        panel.axis_soft_max(at_least)
    if stacked:
        panel.stacking(commons.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    _ask(panel, targets)
    return _finished(
        panel,
        title=title,
        description=description,
        unit=unit,
        decimals=decimals,
        levels=levels.as_lines(),
        alerts=alerts,
        see=see,
    )


def table(
    title: str,
    expr: str,
    *,
    description: str,
    columns: dict[str, str],
    hidden: Iterable[str],
    height: int = 9,
) -> tables.Panel:
    """Return a table with a row for each series, over the whole width.

    Args:
        title: Spanish.
        expr: PromQL.
        description: Spanish.
        columns: heading of each label.
        hidden: labels that are not shown.
        height: in rows of 30 pixels.
    """
    panel = (
        tables.Panel()
        .with_target(query(expr).ref_id("A").instant().format(PromQueryFormat.TABLE))
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": dict.fromkeys(hidden, True),
                    "renameByName": columns,
                    "indexByName": {name: index for index, name in enumerate(columns)},
                },
            )
        )
        .color_scheme(_color(models.FieldColorModeId.THRESHOLDS))
        .height(height)
        .span(24)
    )
    return _finished(panel, title=title, description=description, unit=units.NoUnit)


def variable(
    name: str, label: str, values: str, description: str, *, everything: str = ".*"
) -> boards.QueryVariable:
    """Return a choice above the dashboard, of which all are chosen at first.

    Args:
        name: as it stands in queries, after the dollar.
        label: Spanish.
        values: the query for what can be chosen, as label_values(up, host).
        description: Spanish.
        everything: the pattern that stands for all; .* fits a series without the label too.
    """
    return (
        boards.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(PROMETHEUS)
        .query({"query": values, "refId": "A"})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(everything)
        .current(models.VariableOption(selected=True, text=["Todos"], value=["$__all"]))
    )


def host_variable() -> boards.QueryVariable:
    """Return the choice of a host; a query takes it as {{host=~"$servidor"}}."""
    return variable(
        "servidor",
        "Servidor",
        "label_values(up, host)",
        "Donde un servidor vigila a varios; uno solo no tiene nombre.",
    )


def filters() -> boards.AdHocVariable:
    """Return filters that Grafana adds to the queries, which stay as the course has them."""
    return (
        boards.AdHocVariable("filtros")
        .label("Filtros")
        .description("Por ejemplo host = web1, donde un servidor vigila a varios.")
        .datasource(PROMETHEUS)
    )


def board(
    uid: str,
    title: str,
    description: str,
    tag: str,
    panels: Sequence[AnyPanel],
    *,
    minutes: int = 60,
    variables: Sequence[boards.QueryVariable | boards.AdHocVariable] = (),
    links: Sequence[tuple[str, str]] = (OVERVIEW,),
) -> models.Dashboard:
    """Return a dashboard.

    Args:
        uid: part of its address, and its file's name. Never changed.
        title: Spanish.
        description: Spanish.
        tag: what the list of dashboards groups by.
        panels: from left to right; those of a line have the same height and 24 columns together.
        minutes: how far back it looks at first.
        variables: choices above it.
        links: title and uid of other dashboards.
    """
    built = (
        boards.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([tag])
        .version(1)
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .timezone("browser")
        .refresh("10s")
        .time(f"now-{minutes}m" if minutes % 60 else f"now-{minutes // 60}h", "now")
        .variables(list(variables))
        .links([_to_board(*link) for link in links])
    )
    for annotation in _annotations():
        built.annotation(annotation)
    for number, panel in enumerate(panels, 1):
        built.with_panel(panel.id(number))
    return built.build()


class _Annotation(models.AnnotationQuery, Builder[models.AnnotationQuery]):
    """An annotation with what Prometheus's data source reads beside the library's fields."""

    def __init__(self, name: str, color: str, expr: str, **more: object) -> None:
        super().__init__(name=name, datasource=PROMETHEUS, icon_color=color, expr=expr)
        self._more = more

    def to_json(self) -> dict[str, object]:
        """Return the fields as Grafana names them."""
        return {**super().to_json(), **self._more}

    def build(self) -> models.AnnotationQuery:
        """Return itself, as a builder does."""
        return self


def _annotations() -> list[_Annotation]:
    """Return what every dashboard marks on its graphs."""
    # With useValueForTime the value is the mark's time, in milliseconds.
    return [
        _Annotation(
            "Despliegues",
            "purple",
            # An image that the container did not have ten minutes ago: no plain restart.
            '(container_start_time_seconds{name!=""} unless on (host, name, image) '
            'container_start_time_seconds{name!=""} offset 10m) * 1000',
            step="1m",
            useValueForTime=True,
            titleFormat="Despliegue de {{name}}",
            textFormat="{{image}} {{host}}",
        ),
        _Annotation(
            "Arranques del servidor",
            "blue",
            # Rounded: the kernel's figure moves by a second when the clock is set.
            "round(node_boot_time_seconds, 60) * 1000",
            step="1m",
            useValueForTime=True,
            titleFormat="Arranque del servidor",
            textFormat="{{instance}} {{host}}",
        ),
        _Annotation(
            "Alertas",
            "red",
            'ALERTS{alertstate="firing", severity=~"critical|warning"}',
            step="1m",
            titleFormat="{{alertname}}",
            textFormat="{{instance}} {{host}}",
            tagKeys="severity",
        ),
    ]


def _finished(
    panel: Panel,
    *,
    title: str,
    description: str,
    unit: str,
    decimals: int = 0,
    levels: Levels = NEUTRAL,
    alerts: Sequence[str] = (),
    see: tuple[str, str] | None = None,
) -> Panel:
    """Give a panel what all have."""
    steps = [models.Threshold(color=color, value=value) for color, value in levels.steps]
    # 0.31 s is "310 ms" where Grafana chooses, and "310.000 ms" with three decimals.
    if unit != units.Seconds:
        panel.decimals(decimals)
    return (
        panel.title(title)
        .description(" ".join(filter(None, (description, levels.because))))
        .datasource(PROMETHEUS)
        .unit(unit)
        .thresholds(boards.ThresholdsConfig().mode(levels.mode).steps(steps))
        .links(_links(alerts, see))
    )


def _links(
    alerts: Sequence[str], see: tuple[str, str] | None
) -> list[Builder[models.DashboardLink]]:
    """Return a panel's links: to more of it, to its alerts, to what to do about each."""
    links: list[Builder[models.DashboardLink]] = []
    if see:
        links.append(_link(see[0], f"/d/{see[1]}?${{__url_time_range}}"))
    if alerts:
        chosen = "&".join(f"var-alerta={alert}" for alert in alerts)
        links.append(_link("Sus alertas", f"/d/alertas?{chosen}&${{__url_time_range}}"))
    for alert in alerts:
        links.append(_link(f"Qué hacer: {alert}", f"{RUNBOOKS}#{alert.lower()}").target_blank(True))
    return links


def _link(title: str, url: str) -> boards.DashboardLink:
    return boards.DashboardLink(title).type(models.DashboardLinkType.LINK).url(url)


def _to_board(title: str, uid: str) -> boards.DashboardLink:
    """Return a link of the dashboard itself, which takes range and choices along."""
    return _link(title, f"/d/{uid}").icon("dashboard").keep_time(True).include_vars(True)


def _ask(panel: Panel, targets: Sequence[prometheus.Dataquery]) -> None:
    for letter, target in zip("ABCDEFGH", targets, strict=False):
        panel.with_target(target.ref_id(letter))


def _color(mode: models.FieldColorModeId) -> boards.FieldColor:
    return boards.FieldColor().mode(mode)


def _last() -> commons.ReduceDataOptions:
    return commons.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False)
