"""A profile that is replaced by a new one, and comes back where it was not the reason."""

import os
from pathlib import Path

import pytest

from ibkr_tools.login.browser_processes import RunAs
from ibkr_tools.login.browser_profile import DAMAGED, browser_profile, read_cookies

OURSELVES = RunAs(user=None)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A profile with cookies."""
    profile = tmp_path / "browser"
    (profile / "Default").mkdir(parents=True)
    profile.chmod(0o700)
    (profile / "Local State").write_text("garbage")
    (profile / "Default/Cookies").write_bytes(b"cookies")
    (profile / "Default/Cookies-journal").write_bytes(b"")
    (profile / "Default/Preferences").write_text("{}")
    return profile


def content(profile: Path) -> dict[str, bytes]:
    return {str(path.relative_to(profile)): path.read_bytes() for path in profile.rglob("*") if path.is_file()}


def content_besides_damaged(profile: Path) -> dict[str, bytes]:
    return {name: data for name, data in content(profile).items() if not name.startswith(DAMAGED)}


def test_first_the_cookies_stay_then_nothing_does(kept: Path) -> None:
    """What was there is set aside as it was, and what was set aside before is gone."""
    before = content(kept)
    (kept / DAMAGED).mkdir()
    (kept / DAMAGED / "older").touch()
    with browser_profile(kept, OURSELVES) as profile:
        assert profile.renew()
        assert content_besides_damaged(kept) == {"Default/Cookies": b"cookies", "Default/Cookies-journal": b""}
        assert content(kept / DAMAGED) == before
        assert "with its cookies" in str(profile.change)
        assert profile.renew()
        assert content_besides_damaged(kept) == {}
        assert content(kept / DAMAGED) == before
        assert not profile.renew()


@pytest.mark.parametrize("times", [0, 1, 2])
def test_what_was_not_the_reason_comes_back(kept: Path, times: int) -> None:
    before = content(kept)
    with browser_profile(kept, OURSELVES) as profile:
        for _ in range(times):
            assert profile.renew()
        profile.restore()
        profile.restore()
    assert content(kept) == before


def test_a_new_profile_is_not_replaced(tmp_path: Path) -> None:
    """Nothing in it can be the reason."""
    with browser_profile(tmp_path / "browser", OURSELVES) as profile:
        (profile.path / "Default").mkdir()
        assert not profile.renew()
        assert profile.change is None


def test_a_temporary_one_is_not_replaced_and_goes(tmp_path: Path) -> None:
    (tmp_path / "browser").write_text("a file")
    with browser_profile(tmp_path / "browser", OURSELVES) as profile:
        path = profile.path
        assert path != tmp_path / "browser"
        assert not profile.renew()
    assert not path.exists()


def test_a_part_that_cannot_be_moved_leaves_all_where_it_is(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another user's directory cannot: the login has a profile of its own, with the cookies."""
    before, rename = content(kept), os.rename

    def refuse(name: str, target: str, **directories: int) -> None:
        if name == "Default":
            raise PermissionError(1, "Operation not permitted")
        rename(name, target, **directories)

    with browser_profile(kept, OURSELVES) as profile:
        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", refuse)
            assert profile.renew()
        assert profile.path != kept
        assert content(profile.path) == {"Default/Cookies": b"cookies", "Default/Cookies-journal": b""}
        profile.restore()
    assert content(kept) == before


@pytest.mark.parametrize("what", ["link", "second name", "fifo", "linked directory", "none"])
def test_only_plain_cookies_are_taken_over(kept: Path, tmp_path: Path, what: str) -> None:
    """Root reads for others here: nothing that leads out of the profile is followed, and nobody is waited for."""
    secret, file = tmp_path / "secret", kept / "Default/Cookies"
    secret.write_text("secret")
    file.unlink()
    match what:
        case "link":
            file.symlink_to(secret)
        case "second name":
            file.hardlink_to(secret)
        case "fifo":
            os.mkfifo(file)
        case "linked directory":
            file.write_bytes(b"cookies")
            (kept / "Default").rename(tmp_path / "elsewhere")
            (kept / "Default").symlink_to(tmp_path / "elsewhere")
    assert read_cookies(kept) == {}
