"""Resources and parameters as a person names them, made into calls; what is wrong is said at once."""

import msgspec
import pytest

from ibkr_tools.config.schema import DEFAULT_RESOURCES, FetchConfig
from ibkr_tools.errors import ConfigError, UsageError
from ibkr_tools.fetch.plan import plan_snapshot, require_resources
from ibkr_tools.portal.endpoints import READS, SNAPSHOT_RESOURCES, Scope, Tier

ACCOUNTS = ("U1234567", "U1234568")


@pytest.mark.parametrize("name", READS)
def test_the_configuration_takes_every_read_that_needs_no_parameter(name: str) -> None:
    """And no other; the accounts in the body of a read are filled in."""
    if name in SNAPSHOT_RESOURCES:
        assert len(plan_snapshot([name], {}, "brokerage")) == 1
        assert msgspec.convert({"resources": [name]}, FetchConfig).resources == (name,)
        return
    with pytest.raises(UsageError, match="is missing"):
        plan_snapshot([name], {}, "brokerage")
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"resources": [name]}, FetchConfig)


def test_the_default_resources_are_of_those() -> None:
    assert set(DEFAULT_RESOURCES) <= set(SNAPSHOT_RESOURCES)


@pytest.mark.parametrize("name", READS)
def test_every_read_can_be_planned(name: str) -> None:
    """With its required parameters, whichever they are; every request is one that the client admits."""
    texts = {"integer": "265598", "integers": "265598", "number": "1.5", "boolean": "true", "json": "[]"}
    endpoint = READS[name]
    given = {
        one.name: one.choices[0] if one.choices else texts.get(one.type.value, "a")
        for one in endpoint.user_parameters
        if one.required
    }
    (part,) = plan_snapshot([name], given, "brokerage")
    calls = part.calls(ACCOUNTS)
    assert len(calls) == (2 if endpoint.scope is Scope.ACCOUNT else 1)
    for call in calls:
        assert endpoint.accepts(call.query, call.body)
        assert set(call.path_parameters) | {"page"} >= set(endpoint.names)
    if endpoint.scope is Scope.ACCOUNTS:
        assert calls[0].body is not None
        assert calls[0].body["acctIds"] == list(ACCOUNTS)


def test_names_are_sorted_and_each_is_taken_once() -> None:
    assert [one.name for one in require_resources(["positions", "ledger", "positions"])] == ["ledger", "positions"]
    assert [one.name for one in require_resources(["positions-by-conid"])] == ["positions_by_conid"]


def test_a_parameter_belongs_to_every_resource_that_has_it() -> None:
    parts = plan_snapshot(["position", "contract", "ledger"], {"conid": "265598"}, "brokerage")
    assert {part.name: dict(part.path_parameters) for part in parts} == {
        "position": {"conid": "265598"},
        "contract": {"conid": "265598"},
        "ledger": {},
    }


def test_defaults_are_sent_and_can_be_overridden() -> None:
    (part,) = plan_snapshot(["performance"], {}, "portfolio")
    (other,) = plan_snapshot(["performance"], {"period": "1M"}, "portfolio")
    assert [dict(one.body or {}) for one in (part, other)] == [{"period": "1Y"}, {"period": "1M"}]
    (part,) = plan_snapshot(["transactions"], {"conids": "265598"}, "portfolio")
    assert part.body == {"conids": [265598], "currency": "USD", "days": 90}


def test_fresh_positions_come_past_the_cache_under_their_own_name() -> None:
    (part,) = plan_snapshot(["positions"], {}, "portfolio", fresh=True)
    assert (part.name, part.endpoint.name) == ("positions", "positions2")


@pytest.mark.parametrize(
    ("resources", "given", "text"),
    [
        (["postions"], {}, "no resource 'postions'; did you mean 'positions'?"),
        (["tickle"], {}, "no resource 'tickle'"),
        (["positions"], {"mode": "x"}, "positions: no parameter 'mode'; did you mean 'model'?"),
        (["ledger"], {"acctIds": "U1"}, "ledger: no parameter 'acctIds'"),
        (["performance"], {"acctIds": "U1"}, "performance: no parameter 'acctIds'"),
        (["positions"], {"page": "1"}, "no parameter 'page'"),
        (["position"], {}, "position: --param conid=… is missing"),
        (["position"], {"conid": "x"}, "position: conid 'x': expected a whole number"),
        (["position"], {"conid": "../x"}, "cannot be part of a path"),
        (["performance"], {"period": "2Y"}, "performance: period '2Y': expected one of 1D"),
        (["positions"], {"waitForSecDef": "yes"}, "expected true or false"),
    ],
)
def test_what_is_wrong_is_said(resources: list[str], given: dict[str, str], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan_snapshot(resources, given, "portfolio")
    assert text in caught.value.message


def test_the_brokerage_tier_has_to_be_configured() -> None:
    for name, endpoint in READS.items():
        if endpoint.tier is Tier.BROKERAGE:
            with pytest.raises((ConfigError, UsageError)):
                plan_snapshot([name], {}, "portfolio")
    with pytest.raises(ConfigError, match=r"^trades, orders need the brokerage tier, and session.tier is 'portfolio'$"):
        plan_snapshot(["ledger", "orders", "trades"], {}, "portfolio")
    assert len(plan_snapshot(["ledger", "orders", "trades"], {}, "brokerage")) == 3


def test_fresh_without_positions_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="--fresh"):
        plan_snapshot(["ledger"], {}, "portfolio", fresh=True)
