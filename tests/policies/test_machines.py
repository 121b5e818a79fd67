"""The machine list as CSV: every bad line is named, nothing is guessed, and what was written reads back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorereports.policies import machines
from restorereports.policies.machines import MachinesRefused, read_machines, write_machines
from restorereports.policies.terms import Machine

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


def read(text: str, *tiers: str) -> tuple[Machine, ...]:
    return read_machines(text.encode(), tiers)


def refused(text: str | bytes, *tiers: str) -> list[str]:
    with pytest.raises(MachinesRefused) as failure:
        read_machines(text if isinstance(text, bytes) else text.encode(), tiers)
    return failure.value.sentences()


def test_columns_are_found_by_their_names_in_any_order() -> None:
    found = read("Tier;Owner;NAME;Server\nGold; Finance ;payroll-db2;vbr-east\n\n;;crm;\n", "Gold")

    assert found == (
        Machine(name="payroll-db2", backup_server="vbr-east", tier="Gold", owner="Finance"),
        Machine(name="crm"),
    )


def test_a_byte_order_mark_and_line_breaks_in_cells_are_read() -> None:
    assert read('\ufeffname,owner\r\n"a\nb",x\r\nc,y\r\n') == (
        Machine(name="a\nb", owner="x"),
        Machine(name="c", owner="y"),
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The file is empty"),
        ("vm,tier\na,b\n", "Line 1: the first line must name the columns"),
        ("name,name\na,b\n", "Line 1: the first line must name the columns"),
        ("name,tier\na,Gold\nb,Silver\n", "Line 3: there is no tier “Silver” in this policy."),
        ("name,tier\n ,Gold\n", "Line 2: it has no name."),
        ("name\na\nb\na\n", "Line 4: the same machine stands in line 2."),
        ("name\na,b\n", "Line 2: it has more cells"),
        ("name\n" + "n" * 1001 + "\n", "Line 2: “name” is longer than 1000 characters."),
        ("name\na\0\n", "zero character"),
        (b"name\nok\n\xff\n", "Line 3: this is no UTF-8"),
        ('name\nok\n"a"b\n', "Line 3: the quotation marks"),
        ('name,owner\n"x\ny",z\nb,c,d\n', "Line 4: it has more cells"),
    ],
)
def test_a_bad_line_is_refused_with_its_number_and_why(text: str | bytes, sentence: str) -> None:
    assert sentence in " ".join(refused(text, "Gold"))


def test_every_bad_line_is_counted_and_the_first_ones_are_named() -> None:
    sentences = refused("name,tier\n" + "".join(f"vm{n},None\n" for n in range(30)))

    assert len(sentences) == 21
    assert sentences[-1] == "10 more lines are wrong."


def test_a_list_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "MOST_MACHINES", 2)
    monkeypatch.setattr(machines, "LARGEST_FILE", 100)

    assert refused("name\na\nb\nc\n") == ["The machine list has at most 2 lines."]
    assert refused(b"x" * 101) == ["The file is larger than 8 MB."]


@given(st.lists(st.tuples(TEXT, TEXT, TEXT, TEXT), unique_by=lambda one: one[:2]))
def test_what_was_written_reads_back(rows: list[tuple[str, str, str, str]]) -> None:
    kept = tuple(
        Machine(name=name, backup_server=server, owner=owner.strip(), label=label.strip())
        for name, server, owner, label in rows
        if name.strip()
    )
    text = "".join(write_machines(kept))

    found = read_machines(text.encode(), [])

    assert {one.name for one in found} == {one.name for one in kept}
    assert {(one.name, one.backup_server) for one in found} == {(one.name, one.backup_server) for one in kept}


def test_no_cell_begins_a_formula() -> None:
    text = "".join(write_machines([Machine(name="=1+1", owner="'@x")]))

    assert text.splitlines()[1] == "'=1+1,,,''@x,"
    assert read(text) == (Machine(name="=1+1", owner="'@x"),)
