"""A team's own expectations: evaluated with the others, shut in, and blamed by name when they are wrong."""

# ruff: noqa: S608

from pathlib import Path

import duckdb
import pytest

from slipway.data import contract
from slipway.errors import UserError
from slipway.settings import Validate

from .conftest import documents, write

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def mine(tmp_path):
    """Write one expectation."""

    def make(text: str, name: str = "mine.yaml") -> Path:
        directory = tmp_path / "expectations"
        directory.mkdir(exist_ok=True)
        (directory / name).write_text(text)
        return directory

    return make


def test_a_condition_is_judged_like_the_others(mine, judged):
    mine("name: texts end\nrows: ends_with(text, '.')\nat_most_share: 0.05\nremedy: ask again\n")
    data = documents()
    data[7]["text"] += " and"
    data[8]["text"] += " and"
    found = judged(data)["texts end"]
    assert (found.status, found.failing, found.failing_ids) == ("met", 2, ("d07", "d08"))
    data[9]["text"] += " and"
    broken = judged(data)
    assert broken.broken() == {"texts end": (3, ("d07", "d08", "d09"))}
    assert "texts end (expectations/mine.yaml): expected for all but 5 % of the documents" in broken.message
    assert "remedy: ask again" in broken.message
    assert "expectations/mine.yaml" in broken.page


def test_null_is_not_true(mine, judged):
    mine("name: known label\nrows: label <> 'bad'\n")
    assert judged(documents())["known label"].failing == 40


@pytest.mark.parametrize(
    ("bounds", "status"),
    [("at_least: 4\nat_most: 4", "met"), ("at_least: 5", "not met"), ("at_most: 3.5", "not met")],
)
def test_a_figure_is_judged_by_its_bounds(mine, judged, bounds, status):
    mine(f"name: my sources\nfigure: count(DISTINCT source)\n{bounds}\n")
    found = judged(documents())["my sources"]
    assert (found.status, found.observed) == (status, "4")


def test_a_figure_that_is_null_is_not_met(mine, judged):
    mine("name: labels\nfigure: max(length(label))\nat_most: 10\n")
    found = judged(documents())["labels"]
    assert (found.status, found.observed) == ("not met", "null")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "mine.yaml is not readable as YAML"),
        ("- a", "name, rows or figure expected, found list"),
        ("name: x\nrow: 'true'", "row: extra inputs are not permitted"),
        ("name: x", "give either `rows` or `figure`"),
        ("name: x\nrows: 'true'\nfigure: count(*)", "give either `rows` or `figure`"),
        ("name: x\nfigure: count(*)", "needs `at_least`, `at_most` or both"),
        ("name: x\nrows: 'true'\nat_least: 1", "`rows` has `at_most_share`"),
        ("name: x\nrows: 'true'\nat_most_share: 2", "at_most_share"),
        ("rows: 'true'", "name: field required"),
    ],
)
def test_files_that_are_no_expectation(mine, text, message):
    with pytest.raises(UserError, match=r"expectations/mine.yaml") as caught:
        contract.own(mine(text))
    assert message in str(caught.value)


def test_other_files_and_names_taken(mine):
    directory = mine("name: ids are unique\nrows: 'true'\n")
    with pytest.raises(UserError, match=r"mine.yaml: the contract has a line `ids are unique` already"):
        contract.suite(Validate(), contract.own(directory))
    mine("x", "mine.yml")
    with pytest.raises(UserError, match=r"expectations/mine.yml: an expectation is a file"):
        contract.own(directory)


def test_more_lines_than_bits(mine):
    for number in range(60):
        directory = mine(f"name: n{number}\nrows: 'true'\n", f"n{number}.yaml")
    with pytest.raises(UserError, match="can keep 56"):
        contract.suite(Validate(), contract.own(directory))


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("nonsense(text)", "nonsense does not exist"),
        ("text", "must be true or false, but is of type VARCHAR"),
        ("no_such_column = 1", "no_such_column"),
        ("true), (false", "Parser Error"),
        ("true) AS value FROM documents WHERE (false", "Parser Error"),
        ("true); DROP VIEW documents; --", "Parser Error"),
        ("COPY (SELECT 1) TO 'slipway-own.csv'", "Parser Error"),
        ("avg(characters) > 3", "GROUP BY"),
        ("unnest([true, false])", "one value per row, but gives 80 for 40"),
        ("(SELECT count(*) FROM read_csv('/etc/passwd')) > 0", "disabled by configuration"),
        ("(SELECT count(*) FROM read_text('/etc/passwd')) > 0", "disabled by configuration"),
        ("(SELECT count(*) FROM glob('/etc/*')) > 0", "disabled by configuration"),
        ("(SELECT count(*) FROM '/etc/passwd') > 0", "/etc/passwd"),
        ("CAST(text AS INTEGER) > 0", "Could not convert string"),
    ],
)
def test_sql_that_is_wrong_or_reaches_out_is_blamed(mine, judged, sql, said):
    mine(f"name: mine\nrows: |-\n  {sql}\n")
    with pytest.raises(UserError, match=r"expectations/mine.yaml") as caught:
        judged(documents())
    assert said in str(caught.value)
    assert not Path("slipway-own.csv").exists()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("(SELECT count(*) FROM read_csv('/etc/passwd'))", "disabled by configuration"),
        ("characters", "one number over all rows"),
        ("max(text)", "must be a number"),
        ("sum(CAST(text AS INTEGER))", "Could not convert string"),
    ],
)
def test_figures_that_are_wrong_or_reach_out_are_blamed(mine, judged, sql, said):
    mine(f"name: mine\nfigure: |-\n  {sql}\nat_least: 0\n")
    with pytest.raises(UserError, match=r"expectations/mine.yaml") as caught:
        judged(documents())
    assert said in str(caught.value)


def test_the_database_reads_the_shards_and_nothing_else(tmp_path):
    raw = write(tmp_path, documents())
    (tmp_path / "data" / "secret.csv").write_text("a\n1\n")
    with contract.opened(list(contract.shard_columns(raw))) as database:
        assert database.execute("SELECT count(*) FROM documents").fetchall() == [(40,)]
        for statement in (
            f"SELECT * FROM read_csv('{tmp_path}/data/secret.csv')",
            f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
            f"ATTACH '{tmp_path}/other.db'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "SET lock_configuration = false",
            "SET allowed_paths = ['/etc/passwd']",
        ):
            with pytest.raises(duckdb.Error):
                database.execute(statement).fetchall()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]


def test_the_example_that_is_shipped_finds_what_it_says(judged, mine):
    (example,) = (PROJECT / "expectations").glob("*.yaml")
    mine(example.read_text(), example.name)
    data = documents()
    data[3]["text"] = "TODO ..."
    data[4]["text"] = "Lorem ipsum dolor sit amet, and so on"
    data[5]["text"] = "todo lists are what this text is about"
    assert judged(data, min_characters=1)["few placeholder texts"].failing_ids == ("d03", "d04")
