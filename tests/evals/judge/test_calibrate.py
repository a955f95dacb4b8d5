"""People's labels against a judge that is a real HTTP server: agreement, bias, what is kept, and what a gate sees."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from promptstudio.cli.main import main
from promptstudio.errors import Interrupted
from promptstudio.evals.assertions.assertion import Assertion, Judging
from promptstudio.evals.calibrate import CalibrateOptions, opened_judging
from promptstudio.evals.calibrations import Agreed, Known, kappa_checks, read_calibrations
from promptstudio.evals.human_labels import read_labels
from promptstudio.evals.judge.schema import JudgeModel, Panel
from promptstudio.evals.label_units import units_of
from promptstudio.evals.plan import plan_suite
from promptstudio.evals.selection import Selection
from promptstudio.evals.suite import load_suite, suite_paths

if TYPE_CHECKING:
    from conftest import Judged
    from judge_server import Question, Said

Make = Callable[[Callable[["Question"], "Said"]], "Judged"]
NAMES = ["Ada", "Bob", "ليلى", "נועה", "Олег", "Eve"]
SUITE = """\
name: kindness
prompt: greet
judge: judge/strict
cases: [{cases}]
assert: [{llm-rubric: is kind, metric: polite}]
"""


def suite(names: list[str] = NAMES, gate: str = "") -> str:
    cases = ", ".join(f"{{id: {name}, inputs: {{name: {name}}}}}" for name in names)
    return SUITE.replace("{cases}", cases) + gate


def kind_to(*names: str) -> Callable[[Question], Said]:
    """A judge that passes the answers that name one of these."""

    def say(question: Question) -> Said:
        holds = any(name in question.between("answer") for name in names)
        return {"reason": "it names a friend" if holds else "a stranger", "pass": holds, "score": 0.9 if holds else 0.1}

    return say


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def rows(labels: Mapping[str, Any]) -> str:
    return lines({"case": name, "label": label} for name, label in labels.items())


class Line:
    """A command line in this process, in the judged project."""

    def __init__(self, case: Judged, capsys: pytest.CaptureFixture[str]) -> None:
        self.case, self._capsys = case, capsys

    def __call__(self, *args: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        code = main(list(args), "promptstudio")
        return code, *self._capsys.readouterr()

    def json(self, *args: str) -> Any:
        code, out, err = self(*args, "--json")
        assert code == 0, err
        return json.loads(out)

    def write(self, name: str, text: str) -> None:
        self.case.project.write(name, text)


@pytest.fixture
def line(judged: Make, capsys: pytest.CaptureFixture[str]) -> Callable[..., Line]:
    def make(say: Callable[[Question], Said], text: str = "") -> Line:
        made = Line(judged(say), capsys)
        made.write("evals/judged.yaml", text or suite())
        return made

    return make


def test_a_judge_is_held_against_labels_of_a_run_without_asking_it_again(line: Callable[..., Line]) -> None:
    ps = line(kind_to("Ada", "Bob", "ليلى"))
    assert ps("eval")[0] == 1
    asked = len(ps.case.asked)
    labels = {"Ada": "pass", "Bob": True, "ليلى": 1, "נועה": "FAIL", "Олег": True, "Eve": 0}
    ps.write("labels.jsonl", rows(labels))

    found = ps.json("judge", "calibrate", "labels.jsonl")

    [one] = found["judgings"]
    assert (found["calls"], found["reused"], len(ps.case.asked)) == (0, 6, asked)
    assert one["accuracy"]["estimate"] == pytest.approx(5 / 6)
    assert one["kappa"]["estimate"] == pytest.approx(1 - (1 / 6) / 0.5)
    assert one["confusion"] == {
        "both_pass": 3, "both_fail": 2, "judge_pass_people_fail": 0, "judge_fail_people_pass": 1,
    }  # fmt: skip
    assert (one["metric"], one["judge"], one["raters"], one["labels"]) == ("polite", "judge/strict", 1, 6)
    assert {each["group"]: each["n"] for each in one["languages"]} == {"Latin": 6}
    assert any("few labels" in warning for warning in one["warnings"])


def test_what_was_found_is_kept_in_a_file_that_is_no_suite(line: Callable[..., Line]) -> None:
    ps = line(kind_to("Ada"))
    ps("eval")
    ps.write("labels.jsonl", rows({"Ada": True, "Bob": False, "Eve": False}))
    first = ps.json("judge", "calibrate", "labels.jsonl")
    path = ps.case.project.root / "evals/calibrations.yaml"
    before = path.read_text(encoding="utf-8")

    ps.json("judge", "calibrate", "labels.jsonl")

    assert path.read_text(encoding="utf-8") == before
    [(digest, known)] = read_calibrations(ps.case.project.settings()).items()
    assert digest == first["judgings"][0]["settings_hash"] == ps.case.results()[0].scores[0].settings_hash
    assert (known.kappa.value, known.labels, known.labels_file) == (1.0, 3, "labels.jsonl")
    assert known.labels_digest == first["labels_digest"]
    assert ps("lint")[0] == 0
    assert "calibrations" not in "".join((*ps("lint", "evals")[1:], *ps("fmt", "--check", "evals")[1:]))
    assert [path.name for path in suite_paths(ps.case.project.settings())] == ["judged.yaml"]


def test_a_gate_takes_only_a_calibration_of_just_this_judging_that_agrees_enough(line: Callable[..., Line]) -> None:
    gate = "gate: {pass_rate: 0, min_kappa: 0.6}\n"
    ps = line(kind_to("Ada", "Bob"), suite(["Ada", "Bob", "Eve"], gate))
    code, out, _ = ps("eval")
    assert (code, "MISSED  polite judge kappa not calibrated, wanted at least 0.6" in out) == (1, True)

    ps.write("labels.jsonl", rows({"Ada": True, "Bob": True, "Eve": False}))
    ps("judge", "calibrate", "labels.jsonl")
    code, out, err = ps("eval")
    assert (code, "met     polite judge kappa 1.00" in out) == (0, True)
    assert "judge/strict on polite: kappa 1.00 on 3 labels" in err or "on 3 labels" in err

    ps.write("labels.jsonl", rows({"Ada": True, "Bob": False, "Eve": True}))
    ps("judge", "calibrate", "labels.jsonl")
    code, out, _ = ps("eval")
    assert (code, "MISSED  polite judge kappa -" in out) == (1, True)

    ps.write("evals/judged.yaml", suite(["Ada", "Bob", "Eve"], gate).replace("is kind", "is very kind"))
    code, out, _ = ps("eval")
    assert (code, "not calibrated" in out) == (1, True)


def test_a_gate_with_min_kappa_over_nothing_judged_is_missed(line: Callable[..., Line]) -> None:
    text = "prompt: greet\ncases: [{inputs: {name: Ada}}]\nassert: [{contains: Ada}]\ngate: {min_kappa: 0.5}\n"
    code, out, _ = line(kind_to(), text)("eval")
    assert (code, "nothing in the suite is judged by a model" in out) == (1, True)


def test_a_calibration_is_shown_beside_the_scores_of_its_judge(line: Callable[..., Line]) -> None:
    ps = line(kind_to("Ada"), suite(["Ada", "Bob"]))
    assert "judge/strict: not calibrated" in ps("eval")[2]
    ps.write("labels.jsonl", rows({"Ada": True, "Bob": False}))
    ps("judge", "calibrate", "labels.jsonl")

    shown = "kappa 1.00"
    assert f"judge/strict on polite: {shown}" in ps("runs", "show")[1]
    assert f"pass llm-rubric 0.9 (by judge/strict: {shown}" in ps("runs", "show", "--case", "Ada")[1]
    for name in ("markdown:r.md", "html:r.html", "json:r.json"):
        assert ps("runs", "export", "--to", name)[0] == 0
    root = ps.case.project.root
    assert "kappa 1&#46;00" in (text := (root / "r.md").read_text()) or shown in text
    assert shown in (root / "r.html").read_text()
    [judge] = json.loads((root / "r.json").read_text())["runs"][0]["judges"]
    assert (judge["is_calibrated"], judge["kappa"], judge["labels"]) == (True, 1.0, 2)


def test_answers_that_labels_bring_along_are_judged_and_paid_once(line: Callable[..., Line]) -> None:
    ps = line(kind_to("أهلا", "שלום", "Hello"))
    answers = {
        "أهلا بك يا صديقي": True,
        "שלום לך, מה שלומך?": True,
        "Hello there": True,
        "Go away.": False,
        "اذهب من هنا": False,
    }
    ps.write(
        "labels/own.jsonl",
        lines(
            {"inputs": {"name": "Ada"}, "answer": text, "label": label, "rater": rater}
            for text, label in answers.items()
            for rater in ("sara", "dan")
        ),
    )
    found = ps.json("judge", "calibrate", "labels/own.jsonl")
    [one] = found["judgings"]
    assert (found["calls"], one["labels"], one["answers"], one["raters"]) == (5, 10, 5, 2)
    assert (one["kappa"]["estimate"], one["alpha"]["estimate"]) == (1.0, 1.0)
    assert {each["group"]: each["n"] for each in one["languages"]} == {"Arabic": 2, "Hebrew": 1, "Latin": 2}

    again = ps.json("judge", "calibrate", "labels/own.jsonl")
    assert (again["calls"], again["cached"], len(ps.case.asked)) == (5, 5, 5)
    ps.json("judge", "calibrate", "labels/own.jsonl", "--fresh")
    assert len(ps.case.asked) == 10


def test_graded_labels_are_held_against_scores_and_near_misses_count_less(line: Callable[..., Line]) -> None:
    def say(question: Question) -> Said:
        score = int(question.between("answer").split()[-1]) / 10
        return {"reason": "counted", "pass": score >= 0.5, "score": score}

    ps = line(say)
    ps.write("labels.jsonl", lines({"answer": f"answer {n}", "label": max(0.0, n / 10 - 0.1)} for n in range(11)))
    [one] = ps.json("judge", "calibrate", "labels.jsonl")["judgings"]
    assert one["scale"] == "graded"
    assert 0.9 < one["kappa"]["estimate"] < 1
    assert one["accuracy"]["estimate"] == pytest.approx(10 / 11)


def test_repeats_show_how_a_judge_contradicts_itself(line: Callable[..., Line]) -> None:
    said = iter(range(1000))
    ps = line(lambda _: {"reason": "so", "pass": next(said) % 2 == 0, "score": 0.5}, suite(["Ada"]))
    ps("eval")
    ps.write("labels.jsonl", rows({"Ada": True}))
    found = ps.json("judge", "calibrate", "labels.jsonl", "--repeats", "3")
    [one] = found["judgings"]
    assert (found["calls"], found["reused"]) == (2, 1)
    assert one["repeats"] == {"repeats": 3, "flake_rate": 1.0, "variance": 0.0}
    listed = ps.json("judge", "disagreements", "labels.jsonl", "--repeats", "3")
    assert listed["counts"]["repeat"] == 1
    assert sorted(listed["disagreements"][0]["said"].split(", ")) == ["fail 0.5", "pass 0.5", "pass 0.5"]


def test_a_verdict_by_another_rubric_is_not_taken_for_one_by_this(line: Callable[..., Line]) -> None:
    ps = line(kind_to("Ada"), suite(["Ada", "Bob"]))
    ps("eval")
    ps.write("evals/judged.yaml", suite(["Ada", "Bob"]).replace("is kind", "is very kind"))
    ps.write("labels.jsonl", rows({"Ada": True, "Bob": False}))
    found = ps.json("judge", "calibrate", "labels.jsonl")
    assert (found["calls"], found["cached"], found["reused"]) == (2, 0, 0)


def test_a_calibration_at_one_threshold_says_nothing_of_another() -> None:
    judging = Judging(Panel((JudgeModel("judge/strict"),)), None, "deepeval", "4", "abc")
    at = {limit: Assertion("deepeval/bias", "deepeval/bias", threshold=limit, judging=judging) for limit in (0.5, 0.7)}
    agreed = Agreed(0.9, 0.8, 0.95)
    known = Known(
        "abc", "deepeval/bias", "deepeval/bias", "judge/strict", None, 0.5, False, 90, 2, agreed, agreed, agreed,
        0.95, "2026-11-21", "labels.jsonl", "d" * 32,
    )  # fmt: skip
    checks = kappa_checks(0.6, list(at.values()), {"abc": known})
    assert [(check.is_met, check.found) for check in checks] == [(True, "0.90"), (False, "not calibrated")]


def test_repeats_of_a_run_tell_how_a_judge_varies_without_a_call(line: Callable[..., Line]) -> None:
    said = iter(range(1000))
    text = suite(["Ada"]) + "repeats: 4\n"
    ps = line(lambda _: {"reason": "so", "pass": next(said) % 2 == 0, "score": next(said) / 1000}, text)
    ps("eval")
    asked = len(ps.case.asked)
    ps.write("labels.jsonl", rows({"Ada": True}))
    found = ps.json("judge", "calibrate", "labels.jsonl", "--repeats", "2")
    assert (found["calls"], found["reused"], len(ps.case.asked)) == (0, 4, asked)
    repeats = found["judgings"][0]["repeats"]
    assert (repeats["repeats"], repeats["variance"] > 0) == (4, True)


def test_a_judge_that_likes_the_first_place_is_found_out(line: Callable[..., Line]) -> None:
    text = "prompt: greet\njudge: judge/strict\ncases: [{inputs: {name: Ada}}]\nassert: [{pairwise: the warmer one}]\n"
    ps = line(lambda _: {"reason": "it comes first", "winner": "first"}, text)
    labels = ({"answer": f"Hi {n}", "expected_output": "Hello.", "label": bool(n % 2)} for n in range(12))
    ps.write("labels.jsonl", lines(labels))
    [one] = ps.json("judge", "calibrate", "labels.jsonl")["judgings"]
    position = one["position"]
    assert (position["consistent"], position["decided"], position["favorite"]) == (0.0, 12, "first")
    assert any("favors the first place" in warning for warning in one["warnings"])
    listed = ps.json("judge", "disagreements", "labels.jsonl", "--limit", "3")
    assert (listed["counts"]["position"], len(listed["disagreements"])) == (12, 3)


def test_disagreements_show_the_reason_and_where_the_label_stands(line: Callable[..., Line]) -> None:
    ps = line(kind_to("Ada", "Bob"))
    ps("eval")
    ps.write("labels.jsonl", "\n" + rows({"Ada": True, "Bob": False, "נועה": True}))
    found = ps.json("judge", "disagreements", "labels.jsonl")
    assert [(one["kind"], one["case"], one["where"]) for one in found["disagreements"]] == [
        ("people", "Bob", "labels.jsonl:3"),
        ("people", "נועה", "labels.jsonl:4"),
    ]
    out = ps("judge", "disagreements", "labels.jsonl")[1]
    assert "judge and people differ: 2" in out
    assert "the judge: it names a friend" in out
    assert "people fail, the judge pass 0.9" in out


def test_disagreements_without_labels_ask_nobody(line: Callable[..., Line]) -> None:
    verdicts = {"a": True, "b": False, "c": True}
    text = suite(["Ada"]).replace("judge: judge/strict", "judge: [judge/a, judge/b, judge/c]")
    ps = line(lambda question: {"reason": "mine", "pass": verdicts[question.model], "score": 0.5}, text)
    ps("eval")
    asked = len(ps.case.asked)
    found = ps.json("judge", "disagreements")
    assert [(one["kind"], one["case"]) for one in found["disagreements"]] == [("panel", "Ada")]
    assert len(ps.case.asked) == asked


def test_a_judge_that_cannot_be_reached_is_not_calibrated(line: Callable[..., Line]) -> None:
    ps = line(lambda _: (401, "wrong key"))
    ps.write("labels.jsonl", '{"answer": "Hi", "label": true}\n')
    code, _, err = ps("judge", "calibrate", "labels.jsonl")
    assert (code, "1 label could not be judged" in err) == (3, True)
    assert not (ps.case.project.root / "evals/calibrations.yaml").exists()


def test_prose_of_a_judge_is_no_verdict_and_is_told(line: Callable[..., Line]) -> None:
    def say(question: Question) -> Said:
        if "oddity" in json.dumps(question.body):
            return "What a lovely answer."
        return kind_to("Hi")(question)

    ps = line(say)
    labels = {"Hi": True, "Go": False, "an oddity": True}
    ps.write("labels.jsonl", lines({"answer": text, "label": one} for text, one in labels.items()))
    [one] = ps.json("judge", "calibrate", "labels.jsonl")["judgings"]
    assert (one["no_verdict"], one["kappa"]["n"], one["kappa"]["estimate"]) == (1, 2, 1.0)
    assert any("no usable verdict on 1 of 3" in warning for warning in one["warnings"])


def test_people_who_all_say_the_same_leave_kappa_undefined_or_nothing(line: Callable[..., Line]) -> None:
    ps = line(kind_to("Ada", "Bob"), suite(["Ada", "Bob"], "gate: {min_kappa: 0.1}\n"))
    ps("eval")
    ps.write("labels.jsonl", rows({"Ada": True, "Bob": True}))
    [one] = ps.json("judge", "calibrate", "labels.jsonl")["judgings"]
    assert one["kappa"]["estimate"] is None
    assert any("people say pass of every answer" in warning for warning in one["warnings"])
    code, out, _ = ps("eval")
    assert (code, "polite judge kappa not defined" in out) == (1, True)


def test_a_report_shows_the_figures_and_no_markup_of_others(line: Callable[..., Line]) -> None:
    ps = line(kind_to("Hi"), suite().replace("metric: polite", "metric: <b>warm</b>"))
    ps.write("labels.jsonl", lines([{"answer": "Hi there", "label": True}, {"answer": "Go", "label": False}]))
    code, out, _ = ps("judge", "calibrate", "labels.jsonl", "--report", "out/judge.md")
    assert (code, "judge pass" in out) == (0, True)
    text = (ps.case.project.root / "out/judge.md").read_text(encoding="utf-8")
    assert "| kappa | 1.00 |" in text
    assert "<b>" not in text


def test_max_cost_stops_where_no_price_is_known_and_what_was_judged_is_kept(line: Callable[..., Line]) -> None:
    ps = line(kind_to("Hi"))
    ps.write("labels.jsonl", lines({"answer": f"Hi {n}", "label": bool(n % 2)} for n in range(80)))
    code, _, err = ps("judge", "calibrate", "labels.jsonl", "--max-cost", "1", "--concurrency", "2")
    asked = len(ps.case.asked)
    assert (code, "no price is known for the judge" in err, 0 < asked < 80) == (1, True, True)
    assert not (ps.case.project.root / "evals/calibrations.yaml").exists()
    assert ps.json("judge", "calibrate", "labels.jsonl")["cached"] == asked


async def test_after_an_interrupt_what_is_under_way_ends_and_the_rest_is_asked_later(judged: Make) -> None:
    case = judged(kind_to("Hi"))
    path = case.project.write("evals/judged.yaml", suite())
    file = case.project.write("labels.jsonl", lines({"answer": f"Hi {n}", "label": True} for n in range(40)))
    settings = case.project.settings()
    plan = plan_suite(load_suite(path, settings), settings, Selection())
    units = units_of(read_labels(file, "labels.jsonl").labels, plan.suite.assertions, "judged", None, ())
    options = CalibrateOptions(concurrency=2)

    with opened_judging(plan, settings, {}, options) as judging:
        judging.watch = lambda done: judging.interrupt() if done == 1 else None
        with pytest.raises(Interrupted, match="of 40 were judged"):
            await judging.verdicts(units)
    asked = len(case.asked)
    assert 1 <= asked < 10

    with opened_judging(plan, settings, {}, options) as judging:
        found = await judging.verdicts(units)
    assert (len(found.judged), len(case.asked), found.bill.cached) == (40, 40, asked)


def test_answers_of_a_run_are_compared_with_those_of_the_other_prompt(line: Callable[..., Line]) -> None:
    cases = "[{id: ada, inputs: {name: Ada}}, {id: نور, inputs: {name: نور}}]"
    text = f"name: two\nprompts: [greet, ar/welcome]\ncases: {cases}\n"

    def say(question: Question) -> Said:
        is_arabic = "اكتب" in question.between("first")
        return {"reason": "it is in Arabic", "winner": "first" if is_arabic else "second"}

    ps = line(say, text + "assert: [{regex: .}]\n")
    assert ps("eval")[0] == 0
    ps.write("evals/judged.yaml", text + "judge: judge/strict\nassert: [{pairwise: the Arabic one}]\n")
    answers = [(name, prompt) for name in ("ada", "نور") for prompt in ("greet", "ar/welcome")]
    ps.write("labels.jsonl", lines({"case": name, "prompt": prompt, "label": True} for name, prompt in answers))
    [one] = ps.json("judge", "calibrate", "labels.jsonl")["judgings"]
    assert (one["answers"], one["no_verdict"], one["confusion"]["both_pass"]) == (4, 2, 2)
    assert (one["position"]["consistent"], len(ps.case.asked)) == (1.0, 4)


def test_a_recorded_judge_is_calibrated_without_a_call(line: Callable[..., Line]) -> None:
    ps = line(kind_to("Hi"))
    ps.write("labels.jsonl", lines([{"answer": "Hi", "label": True}, {"answer": "Go", "label": False}]))
    first = ps.json("judge", "calibrate", "labels.jsonl", "--record", "cassettes")
    again = ps.json("judge", "calibrate", "labels.jsonl", "--replay", "cassettes")
    assert len(ps.case.asked) == 2
    assert again["judgings"] == first["judgings"]


def test_calls_of_a_calibration_stand_in_the_history(line: Callable[..., Line]) -> None:
    ps = line(kind_to("Hi"))
    ps.write("labels.jsonl", lines([{"answer": "Hi", "label": True}, {"answer": "Go", "label": False}]))
    ps("judge", "calibrate", "labels.jsonl")
    assert [row["prompt"] for row in ps.json("history")] == ["judge/llm-rubric"] * 2
    ps("judge", "calibrate", "labels.jsonl", "--fresh", "--no-history")
    assert len(ps.json("history")) == 2
