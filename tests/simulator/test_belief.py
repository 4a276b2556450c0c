"""What is fetched is complete and true, or refused: silence, strangers, gaps and short rows, against the simulator."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools.config.schema import DEFAULT_RESOURCES, Config, FetchConfig
from ibkr_tools.errors import ConfigError, DataError, IbkrError, ImplausibleResponse, UpstreamUnavailable, UsageError
from ibkr_tools.fetch.fetch_task import FetchTask
from ibkr_tools.simulator import Simulator, account_numbers
from ibkr_tools.status import FetchSection, StatusFile
from tests.support.portal import asked, client_of, signed_in

ACCOUNTS = account_numbers("U1234567", 3)
BALANCES = ("summary", "ledger", "allocation")

pytestmark = pytest.mark.simulator(gateway=True, user="demo-reader", accounts=ACCOUNTS)


class Place:
    """Where snapshots are saved, and the status of the fetch."""

    def __init__(self, simulator: Simulator, folder: Path) -> None:
        self.simulator = simulator
        self.folder = folder
        self.status = StatusFile(folder / "run" / "status.json")
        self.told: list[str] = []
        self.tell: Callable[[str], None] = self.told.append

    def fetch(
        self,
        resources: Sequence[str] = (),
        accounts: Sequence[str] = (),
        *,
        account: str = "U1234567",
        usual: tuple[str, ...] = DEFAULT_RESOURCES,
        **more: Any,
    ) -> dict[str, Any]:
        """Fetches and saves; `usual` are the configuration's resources, `more` options of the fetch."""
        config = Config(username="demo-reader", account=account, fetch=FetchConfig(resources=usual))
        fetching = FetchTask(
            config,
            lambda: client_of(self.simulator),
            self.status,
            progress=self.tell,
            sleep=lambda _: None,
        )
        return fetching.run(resources, accounts, save_in=self.folder, **more).decode()

    @property
    def saved(self) -> bytes:
        """What is saved now."""
        return (self.folder / "latest.json").read_bytes()

    @property
    def section(self) -> FetchSection:
        """What the status says."""
        section = self.status.read_section(FetchSection)
        assert section
        return section


@pytest.fixture
def here(simulator: Simulator, tmp_path: Path) -> Place:
    return Place(simulator, tmp_path)


SILENT = [
    *itertools.product(BALANCES, ("bare", "zeros", "nulls", "hollow")),
    ("positions", "bare"),
]


@pytest.mark.parametrize(("resource", "how"), SILENT)
def test_silence_beside_what_others_say_is_refused(here: Place, resource: str, how: str) -> None:
    """An account with positions has balances, and one with balances of positions has positions."""
    here.fetch()
    before = here.saved
    here.simulator.control.behaviour(empty=[resource], empty_as=how, empty_accounts=ACCOUNTS[1:2])
    with pytest.raises(ImplausibleResponse, match=f"{resource} of {ACCOUNTS[1]} ") as caught:
        here.fetch()
    assert caught.value.exit_code == 75
    assert here.saved == before
    assert (here.section.state, here.section.session_lost) == ("failed", False)


@pytest.mark.parametrize("resource", [*BALANCES, "positions", "accounts"])
@pytest.mark.parametrize("how", ["null", "no-content"])
def test_no_body_where_data_must_be_is_refused(here: Place, resource: str, how: str) -> None:
    here.simulator.control.behaviour(empty=[resource], empty_as=how)
    with pytest.raises(UpstreamUnavailable, match="an empty answer"):
        here.fetch()


@pytest.mark.parametrize("resource", [*BALANCES, "positions"])
def test_what_comes_when_it_is_asked_again_is_taken(here: Place, resource: str) -> None:
    here.simulator.control.behaviour(empty=[resource], empty_for=2)
    found = here.fetch()
    assert len(found["positions"]) == 3 * 237
    assert all(found["summary"][account]["netliquidation"]["amount"] for account in ACCOUNTS)
    assert all(found["ledger"][account]["BASE"] for account in ACCOUNTS)
    assert all(found["allocation"][account]["assetClass"]["long"] for account in ACCOUNTS)
    assert list(found)[4:] == ["accounts", *BALANCES, "positions"]


def test_a_session_that_says_nothing_at_first_is_asked_again(here: Place) -> None:
    here.simulator.control.behaviour(empty=[*BALANCES, "positions"], empty_for=1)
    assert len(here.fetch()["positions"]) == 3 * 237


@pytest.mark.parametrize("resource", ["positions", "summary", "allocation"])
def test_silence_that_stands_alone_is_compared_with_a_witness(here: Place, resource: str) -> None:
    here.simulator.control.behaviour(empty=[resource])
    with pytest.raises(ImplausibleResponse, match=f"{resource} of U1234567"):
        here.fetch([resource])


def test_a_ledger_without_its_base_is_not_whole(here: Place) -> None:
    ledger = here.fetch(["ledger"])["ledger"][ACCOUNTS[0]]
    del ledger["BASE"]
    here.simulator.control.fault(f"/portfolio/{ACCOUNTS[0]}/ledger", "json", body=ledger)
    with pytest.raises(ImplausibleResponse, match=f"ledger of {ACCOUNTS[0]} has nothing under BASE"):
        here.fetch()


@pytest.mark.parametrize("resource", ["summary", "ledger", "positions"])
def test_what_is_about_another_account_is_refused(here: Place, resource: str) -> None:
    """Waiting does not help against that."""
    here.simulator.control.behaviour(foreign=[resource])
    with pytest.raises(DataError, match=f"{resource} of U1234567 is about U9999999") as caught:
        here.fetch([resource], ["U1234567"])
    assert caught.value.exit_code == 65


@pytest.mark.parametrize("user", ["demo-reader", "demo-advisor"])
def test_an_account_without_positions_is_believed(tmp_path: Path, user: str) -> None:
    with signed_in(tmp_path, positions=0, user=user) as simulator:
        account = "F1234567" if user == "demo-advisor" else "U1234567"
        assert Place(simulator, tmp_path).fetch(account=account)["positions"] == []


def test_an_account_that_has_nothing_is_believed(here: Place) -> None:
    """A new one: zeros everywhere, and an empty allocation."""
    here.simulator.control.behaviour(empty=["summary", "ledger"], empty_as="zeros")
    for path in ("/portfolio/*/allocation", "/portfolio/*/positions/*"):
        here.simulator.control.fault(path, "json", body=[] if "positions" in path else {})
    before = asked(here.simulator, "/summary")
    assert here.fetch()["positions"] == []
    assert asked(here.simulator, "/summary") == before + 3


def test_an_account_of_which_nothing_is_said_is_asked_once_more(here: Place) -> None:
    here.simulator.control.behaviour(empty=[*BALANCES, "positions"])
    before = asked(here.simulator, "/summary")
    assert here.fetch()["positions"] == []
    assert asked(here.simulator, "/summary") == before + 2 * 3


@pytest.mark.parametrize("page", [1, 2])
def test_a_page_that_is_empty_for_a_moment_is_asked_again(here: Place, page: int) -> None:
    here.simulator.control.fault(f"/portfolio/U1234567/positions/{page}", "json", body=[], count=1)
    assert len(here.fetch(["positions"])["positions"]) == 3 * 237


def test_a_gap_between_two_pages_is_refused(here: Place) -> None:
    here.simulator.control.behaviour(page_gaps=[1])
    with pytest.raises(ImplausibleResponse, match="page 1 is empty, and page 2 is not"):
        here.fetch()


def test_pages_that_are_lost_at_the_end_are_missed_by_the_ledger(here: Place) -> None:
    """A list that ends on a full page looks like a shorter one."""
    here.simulator.control.behaviour(page_gaps=[1, 2, 3, 4])
    with pytest.raises(ImplausibleResponse, match=r"positions of U1234567 has [\d,.-]+ [A-Z]{3} of [\d,.-]+ that"):
        here.fetch()


def test_a_list_of_accounts_that_is_empty_is_so_for_the_moment(here: Place) -> None:
    """Exit code 78 would send a person to edit a configuration that is right."""
    here.simulator.control.behaviour(empty=["accounts"])
    with pytest.raises(ImplausibleResponse) as caught:
        here.fetch()
    assert caught.value.exit_code == 75


def test_a_list_that_lacks_an_account_is_asked_for_again(here: Place) -> None:
    here.simulator.control.behaviour(accounts_listed=1, accounts_listed_for=1)
    assert here.fetch(accounts=[ACCOUNTS[2]])["covers"]["accounts"] == [ACCOUNTS[2]]
    here.simulator.control.behaviour(accounts_listed=1, accounts_listed_for=None)
    with pytest.raises(UsageError, match=f"{ACCOUNTS[2]}: not among those"):
        here.fetch(accounts=[ACCOUNTS[2]])


@pytest.mark.parametrize("answers", [0, 1, 2])
def test_rows_are_whole(here: Place, answers: int) -> None:
    """The first answers of a session have 21 fields; asked again, all have the same."""
    here.simulator.control.behaviour(short_answers=answers)
    found = here.fetch(["positions"])
    assert len({frozenset(row) for row in found["positions"]}) == 1
    assert "fullName" in found["positions"][0]
    assert "short_rows" not in found["covers"]


@pytest.mark.usefixtures("one_at_a_time")
def test_rows_that_stay_short_are_counted(here: Place) -> None:
    here.simulator.control.behaviour(always_short_form=True)
    before = asked(here.simulator, "/positions/")
    found = here.fetch(["positions"])
    assert found["covers"]["short_rows"] == {"positions": 3 * 237}
    assert asked(here.simulator, "/positions/") <= before + 3 * 3 + 3
    assert "711 rows of positions without their contract's details" in here.section.why


@pytest.mark.usefixtures("one_at_a_time")
def test_no_request_more_where_all_is_well(here: Place) -> None:
    """One account of 237 positions in a session that is warm."""
    here.fetch()
    before = asked(here.simulator, "/portfolio")
    here.fetch(accounts=["U1234567"])
    assert asked(here.simulator, "/portfolio") == before + 1 + 3 + 3


def test_an_account_is_found_by_its_alias(here: Place) -> None:
    here.simulator.control.behaviour(aliases={ACCOUNTS[1]: "Kids", ACCOUNTS[2]: "Old"})
    found = here.fetch(["ledger"], ["Kids"])
    assert found["covers"]["accounts"] == list(found["ledger"]) == [ACCOUNTS[1]]
    with pytest.raises(UsageError, match=r"account kids: not among .*U1234568 \(Kids\), U1234569 \(Old\)"):
        here.fetch(["ledger"], ["kids"])
    here.simulator.control.behaviour(aliases={ACCOUNTS[1]: "Kids", ACCOUNTS[2]: "Kids"})
    with pytest.raises(ConfigError, match="'Kids': that is what U1234568 and U1234569 are called"):
        here.fetch(["ledger"], account="Kids")


@pytest.fixture
def advisor(tmp_path: Path) -> Any:
    with signed_in(tmp_path, user="demo-advisor", accounts=ACCOUNTS, positions=3) as simulator:
        simulator.control.behaviour(tiered_accounts=True)
        yield Place(simulator, tmp_path)


def test_sub_accounts_that_were_not_asked_are_told(advisor: Place) -> None:
    assert advisor.fetch(account="F1234567")["covers"]["subaccounts_not_asked"] == 3
    advisor.simulator.control.behaviour(tiered_accounts=False)
    covers = advisor.fetch(account="F1234567")["covers"]
    assert "subaccounts_not_asked" not in covers
    assert len(covers["accounts"]) == 4


def test_sub_accounts_can_be_named(advisor: Place) -> None:
    found = advisor.fetch(accounts=[ACCOUNTS[1]], account="F1234567")
    assert found["covers"]["accounts"] == [ACCOUNTS[1]]
    assert "subaccounts_not_asked" not in found["covers"]
    with pytest.raises(UsageError, match="U7777777: not among"):
        advisor.fetch(accounts=["U7777777"], account="F1234567")


def test_the_sub_accounts_cost_no_snapshot(advisor: Place) -> None:
    advisor.simulator.control.fault("/portfolio/subaccounts2", "status", status=404)
    assert "subaccounts_not_asked" not in advisor.fetch(account="F1234567")["covers"]


def test_what_fails_is_an_error_of_ours(here: Place) -> None:
    """Whatever comes of each resource: an error of the tree, or a snapshot."""
    bodies: list[object] = [None, {}, [], 0, "", "text", [[]], [{}], {"BASE": None}, {"BASE": {}}, [None], {"x": [1]}]
    for resource, body in itertools.product((*BALANCES, "positions/0"), bodies):
        here.simulator.control.clear_faults()
        here.simulator.control.fault(f"/portfolio/U1234567/{resource}", "json", body=body)
        with pytest.raises(IbkrError) as caught:
            here.fetch(accounts=["U1234567"])
        assert caught.value.exit_code in {65, 75}, (resource, body)
