"""`ibkr-tools notify`: tells a person what is in the outbox."""

from typing import Annotated

import typer

from ibkr_tools.cli.common import log_to_stderr, setting_of, write_out


def notify(
    context: typer.Context,
    test: Annotated[bool, typer.Option("--test", help="Send a test message, and say how it went.")] = False,
    unattended: Annotated[
        bool, typer.Option("--unattended", help="Try again until it is told, as ibkr-notify.service does.")
    ] = False,
) -> None:
    """Deliver the messages of the outbox with the command of the configuration."""
    from ibkr_tools import files
    from ibkr_tools.delivery.run import Delivery
    from ibkr_tools.errors import OutputError
    from ibkr_tools.gateway.child import Waiter
    from ibkr_tools.notify import Notifier

    setting = setting_of(context)
    log_to_stderr(setting)
    outbox = setting.directories.outbox
    try:
        files.make_directory(outbox, mode=0o700)
    except OSError as error:
        raise OutputError(f"{outbox}: {error.strerror}") from error
    with Waiter(str(outbox)) as waiter:
        delivery = Delivery(lambda: setting.load().notify, setting.directories, waiter, notifier=Notifier())
        if test:
            write_out(f"sent: {delivery.test()}\n")
        elif unattended:
            delivery.run_until_done()
        else:
            delivery.run()
