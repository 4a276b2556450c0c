"""`ibkr-tools alert`: tells a person what is in the outbox."""

from typing import Annotated

import typer

from ibkr_tools.cli.app_context import app_context_of, log_to_stderr
from ibkr_tools.cli.streams import write_out


def alert(
    context: typer.Context,
    test: Annotated[bool, typer.Option("--test", help="Send a test message, and say how it went.")] = False,
    unattended: Annotated[
        bool, typer.Option("--unattended", help="Try again until it is told, as ibkr-alert.service does.")
    ] = False,
) -> None:
    """Deliver the messages of the outbox with the command of the configuration."""
    from ibkr_tools import files
    from ibkr_tools.alerts.alert_delivery import AlertDelivery
    from ibkr_tools.errors import OutputError
    from ibkr_tools.event_loop import EventLoop
    from ibkr_tools.sd_notify import SystemdNotifier

    app_context = app_context_of(context)
    log_to_stderr(app_context)
    outbox = app_context.directories.outbox
    app_context.require_rights(outbox)
    try:
        files.make_directory(outbox, mode=0o700)
    except OSError as error:
        raise OutputError(f"{outbox}: {error.strerror}") from error
    with EventLoop(str(outbox)) as event_loop:
        delivery = AlertDelivery(
            app_context.load_alerts, app_context.directories, event_loop, notifier=SystemdNotifier()
        )
        if test:
            write_out(f"sent: {delivery.test()}\n")
        elif unattended:
            delivery.run_until_done()
        else:
            delivery.run()
