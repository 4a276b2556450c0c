"""A program whose reader has left."""

import subprocess
import sys


def test_a_reader_that_left_is_no_fault(environment: dict[str, str]) -> None:
    """`ibkr-tools … | head -1`: no message, no traceback at exit, code 0."""
    program = (
        "import sys; from ibkr_tools import entrypoint\n"
        "def program():\n"
        "    for number in range(100_000): print('line', number)\n"
        "sys.exit(entrypoint.run(program))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 0
