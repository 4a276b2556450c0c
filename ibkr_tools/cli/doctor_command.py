"""`ibkr-tools doctor`: looks at everything that a session needs, and says what is to be done."""

from typing import Annotated

import typer

from ibkr_tools.cli.app_context import app_context_of
from ibkr_tools.cli.streams import write_out


def doctor(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Show every check, also what is well.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print every check as JSON.")] = False,
    report: Annotated[
        bool,
        typer.Option("--report", help="Print what can be attached to a public issue: no name, account or address."),
    ] = False,
    online: Annotated[
        bool, typer.Option("--online", help="Ask IBKR's hosts for one answer each too; nothing logs in.")
    ] = False,
) -> None:
    """Check the whole chain, and print what to do (exit code 78) or to know (1), with the command that helps.

    Without --instance it has the other IBKR users on this machine checked too, a line for each, and its exit code is
    the highest; --json and --report are about one.
    """
    from ibkr_tools import __version__
    from ibkr_tools.cli.instance_verdicts import examine_others
    from ibkr_tools.doctor import rendering
    from ibkr_tools.doctor.environment_facts import describe_environment
    from ibkr_tools.doctor.examination import examine
    from ibkr_tools.doctor.finding import exit_code
    from ibkr_tools.doctor.subject import find_subject
    from ibkr_tools.status import utc_now

    app_context = app_context_of(context)
    subject = find_subject(app_context.directories, app_context.config_file.absolute(), is_online=online, now=utc_now())
    about = describe_environment(subject, __version__) if json or report else {}
    others = [] if json or report else examine_others(app_context, is_online=online)
    findings = examine(subject)
    if json:
        text = rendering.as_json(findings, about, is_public=report)
    elif report:
        text = rendering.as_report(findings, about)
    else:
        text = "\n".join([rendering.as_text(findings, everything=everything), *(other.line for other in others)])
    if report and app_context.instance is not None:
        text = rendering.without_name(text, app_context.instance)
    write_out(f"{text}\n")
    raise typer.Exit(max(exit_code(findings), *(other.exit_code for other in others), 0))
