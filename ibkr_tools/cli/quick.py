"""Commands that only read files: run by themselves, they need not wait until all the others are made ready."""

from ibkr_tools.cli import show, status
from ibkr_tools.cli.outputs import PrintingCommand
from ibkr_tools.cli.root import new_app

app = new_app()
app.command()(status.status)
app.command(cls=PrintingCommand)(show.show)
