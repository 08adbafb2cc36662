"""Health of the operator."""

from panels import RATE, Page, Panel, Query, lines, number, of, page, with_panels


def dashboard() -> Page:
    """The dashboard with its panels."""
    made = page(
        "operator",
        "AIApi / Operator health",
        "Leadership, ticks, scrapes and API requests of the operator.",
        [],
    )
    quantile = "histogram_quantile({}, sum by (le) (rate({}_bucket[$__rate_interval])))"
    lag, ticks, scrapes = (
        of("tick_lag_seconds"),
        of("tick_duration_seconds"),
        of("scrape_duration_seconds"),
    )
    asleep = of("activation_phase", '{phase="Asleep"}')
    calls = of("api_request_duration_seconds")
    failed = (
        f'sum(rate({calls}_count{{outcome=~"403|5..|error"}}{RATE}))'
        f" or sum(rate({calls}_count{RATE})) * 0"
    )
    panels: list[Panel] = [
        number(
            "Leaders",
            "Operators that hold the Lease. At zero, nothing is resized.",
            "short",
            f"sum({of('leader')})",
            width=6,
        ),
        number("Operators", "Scraped operators.", "short", f"count({of('leader')})", width=6),
        number(
            "Oldest tick",
            "Longest time since an AIApi with pods was reconciled. Idle ones are once a minute.",
            "s",
            f"max(time() - {of('last_tick_timestamp_seconds')}"
            f" unless on (namespace, name) {asleep} == 1)",
            width=6,
        ),
        number(
            "Versions",
            "Operators by version.",
            "short",
            f"count by (version) ({of('build_info')})",
            width=6,
        ),
        lines(
            "Tick lag",
            "Delay of ticks. A delay of seconds indicates a lack of CPU.",
            "s",
            Query(quantile.format(0.5, lag), "median"),
            Query(quantile.format(0.99, lag), "99th"),
        ),
        lines(
            "Tick duration",
            "Time of a tick: scrape, decision and writes.",
            "s",
            Query(quantile.format(0.5, ticks), "median"),
            Query(quantile.format(0.99, ticks), "99th"),
        ),
        lines(
            "Ticks",
            "Ticks by outcome.",
            "ops",
            Query(f"sum by (outcome) (rate({of('ticks_total')}{RATE}))", "{{outcome}}"),
        ),
        lines(
            "Scrape duration",
            "Time to scrape a pod.",
            "s",
            Query(quantile.format(0.5, scrapes), "median"),
            Query(quantile.format(0.99, scrapes), "99th"),
        ),
        lines(
            "Failed scrapes",
            "Failed scrapes of ready pods.",
            "ops",
            Query(f"sum(rate({of('scrape_failures_total')}{RATE}))", "failed"),
        ),
        lines(
            "Kubernetes API requests",
            "Requests by verb, and failed requests.",
            "reqps",
            Query(f"sum by (verb) (rate({calls}_count{RATE}))", "{{verb}}"),
            Query(failed, "failed"),
        ),
        lines(
            "CPU",
            "Cores used by each operator.",
            "short",
            Query(
                f"rate(process_cpu_seconds_total{RATE}) and on (instance) {of('leader')}",
                "{{instance}}",
            ),
        ),
        lines(
            "Memory",
            "Resident memory of each operator.",
            "bytes",
            Query(
                f"process_resident_memory_bytes and on (instance) {of('leader')}", "{{instance}}"
            ),
        ),
    ]
    return with_panels(made, panels)
