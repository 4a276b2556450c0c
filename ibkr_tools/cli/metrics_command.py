"""`ibkr-tools metrics`: numbers for Prometheus."""

from typing import Annotated

import typer

from ibkr_tools.cli.app_context import app_context_of
from ibkr_tools.cli.streams import write_out


def metrics(
    context: typer.Context,
    write: Annotated[
        bool, typer.Option("--write", help="Write the file that metrics.textfile of the configuration names.")
    ] = False,
) -> None:
    """Print session, logins, requests and memory as metrics for Prometheus; no request is sent."""
    from pathlib import Path

    from ibkr_tools import __version__
    from ibkr_tools.errors import ConfigError
    from ibkr_tools.metrics.metric_families import metrics_text
    from ibkr_tools.metrics.readings import take_readings
    from ibkr_tools.metrics.textfile import write_textfile
    from ibkr_tools.status import utc_now

    app_context = app_context_of(context)
    config = app_context.load()
    if write and config.metrics.textfile is None:
        raise ConfigError(
            "metrics.textfile: no file is named",
            hint='Such as "metrics": {"textfile": "/run/ibkr-tools-metrics/ibkr-tools.prom"}.',
        )
    text = metrics_text(take_readings(app_context.directories, config, utc_now()), config.metrics, __version__)
    if write and config.metrics.textfile is not None:
        write_textfile(Path(config.metrics.textfile).expanduser(), text, has_figures=config.metrics.figures != "none")
    else:
        write_out(text.decode())
