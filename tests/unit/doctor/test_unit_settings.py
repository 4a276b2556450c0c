"""Unit files as systemd reads them."""

from pathlib import Path

from ibkr_tools.doctor.unit_settings import assignments, drop_in_folders, settings_of, unit_files


def put(path: Path, text: str = "[Service]\nUser=x\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_lines_go_on_and_comments_do_not_count() -> None:
    text = "[Service]\nExecStart=/bin/a \\\n# not this\n  b\n;nor=this\nUser = x\n[Unit]\nUser=y"
    assert list(assignments(text)) == [
        (("Service", "ExecStart"), "/bin/a    b"),
        (("Service", "User"), "x"),
        (("Unit", "User"), "y"),
    ]


def test_an_empty_value_clears_those_before_it() -> None:
    found = settings_of(["[Service]\nA=1\nA=2\nB=1", "[Service]\nA=\nA=3\nB="])
    assert found == {("Service", "A"): ("3",), ("Service", "B"): ()}


def test_the_folders_of_drop_ins_go_from_the_unit_to_its_kind() -> None:
    assert drop_in_folders("ibkr-login.service") == ["ibkr-login.service.d", "ibkr-.service.d", "service.d"]
    folders = drop_in_folders("ibkr-alert@x.service")
    assert folders == ["ibkr-alert@x.service.d", "ibkr-alert@.service.d", "ibkr-.service.d", "service.d"]


def test_drop_ins_are_read_by_name_and_the_first_place_counts(tmp_path: Path) -> None:
    """A file in /etc replaces one of the same name in /usr, and a link to /dev/null takes it away."""
    etc, usr = tmp_path / "etc", tmp_path / "usr"
    unit = put(usr / "ibkr-a.service")
    put(usr / "ibkr-.service.d/10-sandbox.conf")
    last = put(usr / "ibkr-a.service.d/20-x.conf")
    first = put(etc / "service.d/05-y.conf")
    instead = put(etc / "ibkr-.service.d/10-sandbox.conf")
    assert unit_files("ibkr-a.service", (etc, usr)) == [unit, first, instead, last]
    instead.unlink()
    instead.symlink_to("/dev/null")
    assert unit_files("ibkr-a.service", (etc, usr)) == [unit, first, last]
    other = put(etc / "ibkr-a.service")
    assert unit_files("ibkr-a.service", (etc, usr))[0] == other


def test_a_template_is_the_file_of_its_instances(tmp_path: Path) -> None:
    """With the drop-ins of both; a file of the instance's own name comes before it."""
    etc, usr = tmp_path / "etc", tmp_path / "usr"
    template = usr / "ibkr-a@.service"
    drop_ins = [usr / "ibkr-.service.d/10.conf", usr / "ibkr-a@.service.d/20.conf", etc / "ibkr-a@x.service.d/30.conf"]
    own = etc / "ibkr-a@x.service"
    for path in (template, *drop_ins, own):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[Service]\nUser=x\n")
    assert unit_files("ibkr-a@x.service", (usr,)) == [template, *drop_ins[:2]]
    assert unit_files("ibkr-a@x.service", (etc, usr)) == [own, *drop_ins]
