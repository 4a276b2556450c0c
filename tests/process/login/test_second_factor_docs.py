"""The command that docs/second-factor.md shows, run."""

import re
import threading
import time
from pathlib import Path

from ibkr_tools.login.otp import CodeRequest, CommandCodes
from tests.support.checkout import CHECKOUT

PAGE = (CHECKOUT / "docs/second-factor.md").read_text()


def test_variables_are_the_ones_a_command_gets(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    source = CommandCodes(["/usr/bin/env", "bash", "-c", f"env >{seen}; echo 123456"], 10)
    source.get_code(0, CodeRequest(factor="silver", asked_at=time.time()))
    given = {line.partition("=")[0] for line in seen.read_text().splitlines() if line.startswith("IBKR_TOOLS_")}
    assert given == set(re.findall(r"^\| `(IBKR_TOOLS_\w+)` \|", PAGE, re.MULTILINE))


def test_example_waits_for_a_code_that_is_new(tmp_path: Path) -> None:
    """An old code is left alone; the new one is printed as soon as it is there."""
    text = PAGE.split("<!-- command -->")[1].split("<!-- /command -->")[0]
    file, script = tmp_path / "code", tmp_path / "ibkr-code"
    body = "\n".join(line.removeprefix("    ") for line in text.strip("\n").splitlines())
    assert "/run/ibkr-tools/code" in body
    script.write_text(body.replace("/run/ibkr-tools/code", str(file)) + "\n")
    script.chmod(0o755)
    file.write_text("111111\n")
    asked_at = time.time() + 2

    def arrive() -> None:
        # By then the clock is past `asked_at`, as it is when a message is newer than the question.
        threading.Event().wait(max(0.0, asked_at + 1 - time.time()))
        file.write_text("222222\n")

    thread = threading.Thread(target=arrive)
    thread.start()
    code = CommandCodes([str(script)], 20).get_code(0, CodeRequest(factor="silver", asked_at=asked_at))
    thread.join()
    assert code.reveal() == "222222"
