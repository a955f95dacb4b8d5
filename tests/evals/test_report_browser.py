"""The html report in a real browser: what a reader sees and does, with the mouse, the keyboard and a narrow screen.

It needs Chromium and its driver: `make browser` installs them on Debian. Without them the tests are skipped, unless
PROMPTSTUDIO_NEED_BROWSER=1 says that they must run, as CI does.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from promptstudio.evals.records import CaseResult
from promptstudio.evals.report.html import write
from promptstudio.evals.report.schema import RunReport
from promptstudio.evals.schema import Answer, Case
from promptstudio.evals.trend import points_of
from tests.evals.report_samples import (
    HOSTILE,
    NAMES,
    against,
    case_result,
    compared,
    flips,
    held_report,
    hostile_results,
    one_of_each,
    reported,
    sure,
)

# Read at import: tests themselves see no such variable.
IS_NEEDED = os.environ.get("PROMPTSTUDIO_NEED_BROWSER") == "1"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not IS_NEEDED and not (CHROMIUM and DRIVER),
    reason="there is no chromium with chromedriver: make browser installs them",
)
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)


class Reader:
    """Somebody in front of a browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, address: str = "") -> None:
        self.driver.get("about:blank")
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.driver.get(path.as_uri() + address)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def one(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        return [element.text for element in self.all(selector)]

    def run(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def until(self, is_so: Callable[[], Any]) -> None:
        WebDriverWait(self.driver, 20, poll_frequency=0.02).until(lambda _: is_so())

    @property
    def cases(self) -> list[str]:
        return list(
            self.run(
                "return [...document.querySelectorAll('#cases tbody a')].map((link) => link.textContent.toWellFormed())"
            )
        )

    @property
    def found(self) -> str:
        return str(self.one("#found").text)

    @property
    def is_case_open(self) -> bool:
        return bool(self.run("return document.getElementById('case').open"))

    def search(self, words: str, found: str) -> None:
        box = self.one("#search")
        box.send_keys(Keys.CONTROL, "a")
        box.send_keys(Keys.BACKSPACE)
        self.until(lambda: " of " not in self.found)
        box.send_keys(words)
        self.until(lambda: self.found == found)

    def press(self, *keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def color(self, selector: str, name: str) -> tuple[int, ...]:
        value = self.one(selector).value_of_css_property(name)
        return tuple(int(part) for part in value[value.index("(") + 1 : -1].split(",")[:3])

    def emulate(self, *, scheme: str = "light", media: str = "") -> None:
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def resize(self, width: int, height: int = 900) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    @property
    def problems(self) -> list[str]:
        """Return what the console complains about."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    @property
    def requests(self) -> list[str]:
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = {
            one["params"]["requestId"]: one["params"]["request"]["url"]
            for one in events
            if one["method"] == "Network.requestWillBeSent"
        }
        for one in events:
            if one["method"] == "Network.loadingFailed" and one["params"].get("blockedReason") == "csp":
                sent.pop(one["params"]["requestId"], None)  # the page wanted to, and was not allowed to
        return [url for url in sent.values() if not url.startswith("data:")]


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    assert CHROMIUM, "PROMPTSTUDIO_NEED_BROWSER=1, and there is no chromium: make browser"
    assert DRIVER, "PROMPTSTUDIO_NEED_BROWSER=1, and there is no chromedriver: make browser"
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as home:
        for argument in (*ARGUMENTS, f"--user-data-dir={home}/profile"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        environment = {**os.environ, "HOME": home, "LANG": "en_US.UTF-8", "TZ": "UTC"}
        started = webdriver.Chrome(options=options, service=Service(DRIVER, env=environment))
        yield started
        started.quit()


@pytest.fixture
def reader(driver: Any) -> Reader:
    reader = Reader(driver)
    reader.resize(1280)
    reader.emulate()
    return reader


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Iterable[CaseResult]], Path]:
    """Write a page once for all tests that look at it."""
    folder = tmp_path_factory.mktemp("pages")

    def page(name: str, results: Iterable[CaseResult]) -> Path:
        path = folder / f"{name}.html"
        if not path.exists():
            with path.open("w", encoding="utf-8", newline="") as stream:
                write([reported(results)], stream)
        return path

    return page


@pytest.fixture
def page(pages: Callable[[str, Iterable[CaseResult]], Path]) -> Path:
    return pages("each", one_of_each())


def test_the_page_opens_without_an_error_and_asks_for_nothing_but_itself(reader: Reader, page: Path) -> None:
    reader.open(page)
    assert reader.texts("h1") == ["support/triage"]
    assert reader.texts(".verdict") == ["✗ Gate missed"]
    assert len(reader.cases) == 10
    reader.one("#cases tbody tr").click()
    reader.until(lambda: reader.is_case_open)
    assert reader.problems == []
    assert reader.requests == [page.as_uri()]


def test_what_would_be_brought_in_all_the_same_can_neither_run_nor_ask_a_server(reader: Reader, page: Path) -> None:
    reader.open(page)
    reader.run(
        """
        const script = document.createElement('script');
        script.textContent = 'document.title = "owned"';
        const image = document.createElement('img');
        image.setAttribute('onerror', 'document.title = "owned"');
        image.src = 'http://127.0.0.1:9/x.png';
        document.body.append(script, image);
        """
    )
    refused: list[str] = []
    reader.until(lambda: refused.extend(reader.problems) or len(refused) >= 2)
    assert all("Content Security Policy" in each for each in refused)
    assert "owned" not in reader.driver.title
    assert reader.requests == [page.as_uri()]


def test_cases_that_are_not_good_come_first(reader: Reader, page: Path) -> None:
    reader.open(page)
    assert reader.cases[:5] == ["too-long", "refund-now", "تذكرة-عربية", "no-assertion", "left-out"]


def test_cases_are_filtered_by_outcome_prompt_model_and_tag(reader: Reader, page: Path) -> None:
    reader.open(page)
    reader.one('[data-outcome="fail"]').click()
    assert reader.cases == ["refund-now", "تذكرة-عربية"]
    assert reader.one('[data-outcome="fail"]').get_attribute("aria-pressed") == "true"
    reader.one('[data-outcome="error"]').click()
    assert (reader.cases[0], reader.found) == ("too-long", "3 of 10 results")
    reader.one('#pick-prompt option[value="=support/triage:terse"]').click()
    assert reader.cases == ["too-long"]
    reader.one("#reset").click()
    assert reader.found == "10 results"
    reader.one('#pick-tag option[value="=billing"]').click()
    assert sorted(reader.cases) == ["double-charge", "double-charge #2", "refund-now"]
    reader.one('#pick-model option[value="=anthropic/claude-haiku-4-5"]').click()
    assert reader.texts("#cases .nothing") == ["No case is like that."]


def test_columns_sort_both_ways_and_what_is_not_known_comes_last(reader: Reader, page: Path) -> None:
    reader.open(page)
    reader.one('[data-sort="latency"]').click()
    assert reader.cases[-3:] == ["refund-now", "too-long", "left-out"]
    reader.one('[data-sort="latency"]').click()
    assert (reader.cases[0], reader.cases[-2:]) == ("refund-now", ["too-long", "left-out"])
    assert reader.one("th.col-latency").get_attribute("aria-sort") == "descending"
    reader.one('[data-sort="latency"]').click()
    assert reader.cases[0] == "too-long"


@pytest.mark.parametrize(
    ("words", "cases"),
    [
        ("MONEY now", ["refund-now"]),
        ('"money now"', []),
        ('"refund within 3"', ["refund-now"]),
        ("اهلا سنعيد", ["تذكرة-عربية"]),
        ("كلمه", ["تذكرة-عربية"]),
        ("הסיסמה", ["שאלה"]),
        ("rate_limit", ["too-long"]),
        ("find_order", ["tool"]),
        ("which ORDER is", ["where-is-it"]),
        ("5 days", ["refund-now"]),
    ],
)
def test_search_finds_words_in_any_part_of_a_case_and_in_any_language(
    reader: Reader, page: Path, words: str, cases: list[str]
) -> None:
    reader.open(page)
    reader.search(words, f"{len(cases)} of 10 results")
    assert reader.cases == cases


def test_search_takes_no_notice_of_accents_and_wide_letters_but_of_vowels_of_other_scripts(
    reader: Reader, pages: Callable[[str, Iterable[CaseResult]], Path]
) -> None:
    said = {"a": "Crème brûlée à la Straße", "b": "ＦＵＬＬ ٣٤", "c": "किताब", "d": "日本語のテキスト"}
    reader.open(pages("accents", [case_result(name, said=text) for name, text in said.items()]))
    for words, case in {"creme strasse": "a", "full 34": "b", "किताब": "c", "テキスト": "d"}.items():
        reader.search(words, "1 of 4 results")
        assert reader.cases == [case]
    reader.search("कुताब", "0 of 4 results")


def test_a_case_shows_what_was_asked_answered_expected_and_found(reader: Reader, page: Path) -> None:
    def words_of(tag: str) -> list[str]:
        return [text.strip() for text in reader.texts(f"#case-body section:nth-of-type(1) {tag}")]

    reader.open(page, "#case=1")
    assert reader.one("#case-title").text == "refund-now"
    body = reader.one("#case-body").text
    for piece in (
        *("I want my money back, now!", "'5 days' is missing", "openai/gpt-4.1-mini", "$0.0012", "1,350 ms"),
        *("310 in, 55 out", "evals/data/cases.jsonl:2", "angry", "score 0.5", "--case refund-now"),
    ):
        assert piece in body
    assert words_of("del") == ["billing", "your", "money", "back", "5"]
    assert words_of("ins") == ["bug", "very", "a", "refund", "3"]
    reader.all("#case-body .scores summary")[0].click()
    reader.until(lambda: reader.all(".scores .pair"))
    assert reader.problems == []


def test_a_conversation_and_the_tools_that_were_called_are_shown(reader: Reader, page: Path) -> None:
    reader.open(page, "#case=7")
    assert "Which order is it about?" in reader.one(".turn").text
    assert "Order 7 is on its way." in reader.one("#case-body").text
    reader.open(page, "#case=8")
    assert 'find_order({"order": 7})' in reader.one("#case-body").text
    reader.open(page, "#case=4")
    assert "429: too many requests\nhint: wait a minute" in reader.one(".banner.error").text


def test_the_page_is_used_with_the_keyboard_alone(reader: Reader, page: Path) -> None:
    def focus() -> str:
        return str(reader.run("return document.activeElement.id || document.activeElement.textContent"))

    reader.open(page)
    reader.press("/")
    assert focus() == "search"
    reader.run("document.querySelector('#cases tbody a').focus()")
    reader.press(Keys.ARROW_DOWN)
    assert focus() == "refund-now"
    reader.press(Keys.ENTER)
    reader.until(lambda: reader.is_case_open and focus() == "case-title")
    reader.press(Keys.ARROW_RIGHT)
    assert reader.one("#case-title").text == "تذكرة-عربية"
    assert reader.one("#case-place").text == "3 of 10"
    for _ in range(20):  # the rest of the page is out of reach as long as the case is open
        reader.press(Keys.TAB)
        assert reader.run(
            "return document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
    reader.press(Keys.ESCAPE)
    reader.until(lambda: focus() == "تذكرة-عربية")  # the page hears that the case was closed a moment later
    assert not reader.is_case_open


def test_right_to_left_texts_read_from_the_right_in_a_page_that_reads_from_the_left(reader: Reader, page: Path) -> None:
    def direction(element: Any) -> str:
        return str(reader.run("return getComputedStyle(arguments[0]).direction", element))

    reader.open(page, "#case=2")
    answers = [each for each in reader.all("#case-body pre") if each.text.startswith("أهلاً")]
    assert [direction(each) for each in answers] == ["rtl"] * 3
    assert direction(reader.one("#case-title")) == "rtl"
    assert direction(reader.one(".banner bdi:last-child")) == "rtl"
    assert direction(reader.one("#case-body")) == "ltr"
    assert direction(reader.all("#case-body pre")[-1]) == "ltr"
    assert reader.texts("#case-body del") == ["خمسة"]
    box, text = answers[0].rect, reader.run(
        "const r = document.createRange(); r.selectNodeContents(arguments[0]); return r.getBoundingClientRect().right",
        answers[0],
    )  # fmt: skip
    assert box["x"] + box["width"] - text < 30


def luminance(color: tuple[int, ...]) -> float:
    parts = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in color]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_and_can_be_read(reader: Reader, page: Path, scheme: str) -> None:
    reader.emulate(scheme=scheme)
    reader.open(page)
    ground = luminance(reader.color("body", "background-color"))
    assert ground > 0.8 if scheme == "light" else ground < 0.05
    for outcome in ("pass", "fail", "error", "unscored", "skipped"):
        mark = f"#cases .mark.{outcome}"
        assert contrast(reader.color(mark, "color"), reader.color(mark, "background-color")) >= 4.5, outcome
    for soft in (".meta", "#found", ".brand"):
        assert contrast(reader.color(soft, "color"), reader.color("body", "background-color")) >= 4.5, soft
    reader.one("#theme").click()
    reader.one("#theme").click()
    assert luminance(reader.color("body", "background-color")) < 0.05
    reader.one("#theme").click()
    assert luminance(reader.color("body", "background-color")) == ground


@pytest.mark.parametrize("width", [320, 390, 700, 1280])
def test_nothing_is_wider_than_the_screen(
    reader: Reader, pages: Callable[[str, Iterable[CaseResult]], Path], width: int
) -> None:
    long = Answer("w" * 3000)
    results = [
        *one_of_each(),
        case_result("i" * 400, "fail", answer=long, reason="r" * 900, tags=("t" * 200,), inputs={"n" * 80: "v" * 500}),
    ]
    page = pages("long", results)
    reader.resize(width)
    for address in ("", "#case=1", "#case=10"):
        reader.open(page, address)
        assert reader.run("return document.documentElement.scrollWidth") <= width
        assert reader.run("const b = document.getElementById('case-body'); return b.scrollWidth - b.clientWidth") <= 0


def test_hostile_texts_are_shown_as_they_are(
    reader: Reader, pages: Callable[[str, Iterable[CaseResult]], Path]
) -> None:
    page = pages("hostile", hostile_results())
    reader.open(page)
    assert len(reader.cases) == len(HOSTILE)
    for index, (name, text) in enumerate(HOSTILE.items()):
        reader.run("location.hash = arguments[0]", f"#case={index}")
        reader.until(
            lambda name=name: str(
                reader.run("return document.getElementById('case-title').textContent.toWellFormed()")
            ).startswith(f"{name} ")
        )
        shown = reader.run(
            "return [...document.querySelectorAll('#case-body pre')].map((each) => each.textContent.toWellFormed())"
        )
        assert text.replace("\ud83d", "\ufffd") in shown  # half a pair cannot leave the browser
    assert reader.driver.title == "support/triage: gate missed"
    assert reader.all("img, iframe, #case-body script") == []
    assert reader.problems == []
    assert reader.requests == [page.as_uri()]


def test_twenty_thousand_cases_are_looked_at_a_page_at_a_time(
    reader: Reader, pages: Callable[[str, Iterable[CaseResult]], Path]
) -> None:
    page = pages("many", (case_result(f"case {n}", case=Case(f"case {n}"), scores=()) for n in range(20_000)))
    reader.open(page)
    assert (reader.found, len(reader.cases)) == ("20,000 results", 100)
    reader.one("#page-after").click()
    assert (reader.cases[0], reader.one("#page-now").text) == ("case 100", "101–200 of 20,000")
    reader.search("19999", "1 of 20,000 results")
    reader.open(page, "#case=19999")
    assert reader.one("#case-title").text == "case 19999"
    assert reader.one("#case-place").text == "20,000 of 20,000"
    reader.one("#case-close").click()
    reader.until(lambda: "case 19999" in reader.cases)


def test_a_printed_page_is_light_and_has_no_controls(reader: Reader, page: Path) -> None:
    reader.emulate(scheme="dark", media="print")
    reader.open(page)
    assert luminance(reader.color("body", "background-color")) == 1.0
    assert not [each for each in reader.all(".bar, .tools, .pages") if each.is_displayed()]
    assert reader.one("#cases").is_displayed()
    reader.open(page, "#case=1")
    assert reader.one("#case-body").is_displayed()
    assert not reader.one("#cases").is_displayed()
    pdf = reader.driver.execute_cdp_cmd("Page.printToPDF", {})["data"]
    assert len(pdf) > 10_000


def test_a_page_without_results_says_so(reader: Reader, pages: Callable[[str, Iterable[CaseResult]], Path]) -> None:
    reader.open(pages("none", []))
    assert reader.texts("#cases .nothing") == ["There is no case in this report."]
    assert reader.texts(".verdict") == ["✗ Gate missed"]
    assert reader.problems == []


def test_the_trend_is_plotted_with_intervals_and_this_run_stands_out(reader: Reader, tmp_path: Path) -> None:
    report = reported(one_of_each())
    runs = [replace(report.run, id=f"{number}", commit=f"{number}" * 40) for number in (2, 1)]
    metric = {**runs[0].totals, "metrics": {"أدب": 0.9, "<img src=x onerror=alert(1)>": 0.4}}
    runs = [replace(report.run, totals=metric), *(replace(run, totals=metric) for run in runs)]
    path = tmp_path / "report.html"
    with path.open("w", encoding="utf-8") as out:
        write([replace(report, trend=points_of(runs, last=9))], out)
    for scheme in ("light", "dark"):
        reader.emulate(scheme=scheme)
        reader.open(path)
        assert len(reader.all(".trend svg")) == 3
        assert len(reader.all(".trend figure:first-of-type circle")) == 3
        assert len(reader.all(".trend figure:first-of-type circle.now")) == 1
        assert reader.texts(".trend figcaption")[:2] == ["Pass rate", "أدب"]
        assert (reader.requests, reader.problems) == ([path.as_uri()], [])
    reader.resize(400)
    assert reader.run("return document.documentElement.scrollWidth <= window.innerWidth")


def written(folder: Path, *reports: RunReport) -> Path:
    path = folder / "held.html"
    with path.open("w", encoding="utf-8", newline="") as out:
        write(reports, out)
    return path


def test_what_broke_since_the_baseline_stands_at_the_head_with_reasons_and_links(
    reader: Reader, tmp_path: Path
) -> None:
    path = written(tmp_path, held_report())
    reader.open(path)
    assert reader.texts(".since h3") == ["Broke since main: 2", "Mended since main: 1"]
    assert reader.texts(".flips a") == ["refund-now", "تذكرة-عربية", "שאלה"]
    assert "category: expected 'billing', found 'bug'" in reader.texts(".flips li")[0]
    head = reader.run("return document.querySelector('.run').innerText")
    parts = ("worse than the baseline on 10 cases", "Broke since main", "Pass rate", "31% to 86%", "Against main")
    places = [head.index(part) for part in (*parts, "flake rate 12.5% · pass@3 90% · pass^3 40%")]
    assert places == sorted(places)
    for part in ("−40 points to −20 points", "regressed", "needs about 310 cases", "only at main: gone"):
        assert part in head, part
    assert len(reader.all(".run [aria-label=unsure]")) == 1
    assert "faithful is not compared: the baseline's scores are of deepeval 4.2.0" in head
    reader.one(".flips a").click()
    reader.until(lambda: reader.is_case_open)
    assert reader.one("#case-title").text == "refund-now"
    assert "since main pass → fail" in reader.one(".facts").text
    assert (reader.requests, reader.problems) == ([path.as_uri()], [])


def test_cases_are_filtered_by_what_became_of_them_since_the_baseline(reader: Reader, tmp_path: Path) -> None:
    reader.open(written(tmp_path, held_report()))
    assert reader.texts("#since button") == ["▼ broke since main 2", "▲ mended since main 1"]
    reader.one("#since .broke").click()
    assert (reader.cases, reader.found) == (["refund-now", "تذكرة-عربية"], "2 of 10 results")
    reader.one("#since .mended").click()
    assert reader.cases == ["שאלה"]
    reader.one("#since .mended").click()
    assert len(reader.cases) == 10
    reader.one(".since.broke button").click()
    assert reader.one("#since .broke").get_attribute("aria-pressed") == "true"
    reader.one("#reset").click()
    assert len(reader.cases) == 10


def test_a_case_shows_engine_judge_panel_and_cost_of_each_score(reader: Reader, tmp_path: Path) -> None:
    path = written(tmp_path, held_report())
    reader.open(path, "#case=1")
    said = [text for text in reader.texts(".scores tr") if "llm-rubric" in text]
    assert len(said) == 3
    assert "1 of 2 judges pass it" in said[0]
    for name, text in zip(("openai/gpt-4.1", "anthropic/claude-sonnet-4-5"), said[1:], strict=True):
        assert f"judge {name}" in text
        assert "engine promptstudio 1" in text
        assert "$0.00040" in text
    reader.open(path, "#case=0")
    assert "engine deepeval 4.3.1" in reader.one(".scores").text
    assert "judging $0.0020" in reader.one(".facts").text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_statistics_fit_the_screen_and_can_be_read(reader: Reader, tmp_path: Path, scheme: str, width: int) -> None:
    names = [f"c{number} {'long-name-' * 9}" for number in range(30)]
    figure = compared(1.0, 0.0, "regressed", broke=flips(*names), broke_count=40)
    target = {"baseline": NAMES[0], "candidate": NAMES[0], "same": False, "figures": {"pass rate": figure}}
    found = against(targets=[{**target, "refused": {}}, *against()["targets"][1:]], named="إصدار/رئيسي")
    results = [case_result(name, "fail", reason="contains: " + "x" * 300) for name in names]
    reader.resize(width)
    reader.emulate(scheme=scheme)
    reader.open(written(tmp_path, held_report(results, totals={"against": found, "figures": sure()})))
    assert reader.run("return document.documentElement.scrollWidth <= window.innerWidth")
    assert len(reader.all(".since.broke li")) == 10
    assert reader.one(".since.broke button").text == "… and 30 more: list them below"
    for selector in (".since h3", ".flips li", ".compared td.no", ".compared td small", ".figures td"):
        assert contrast(reader.color(".run", "background-color"), reader.color(selector, "color")) >= 4.5, selector


def test_hostile_names_are_texts_wherever_statistics_show_them(reader: Reader, tmp_path: Path) -> None:
    names = [result.case.id for result in hostile_results()]
    figure = compared(1.0, 0.0, "regressed", broke=flips(*names), broke_count=len(names), only_baseline=names)
    figures = {"pass rate": figure, **{name: compared(0.1, 0.2, "improved") for name in names}}
    target = {"baseline": NAMES[0], "candidate": NAMES[0], "same": False, "figures": figures}
    found = against(targets=[{**target, "refused": dict.fromkeys(names, "<b>why</b>")}], named=HOSTILE["script"])
    path = written(tmp_path, held_report(hostile_results(), totals={"against": found, "judges": []}))
    reader.open(path)
    assert reader.driver.title == "support/triage: gate missed"
    assert reader.all("img, iframe, .run script, .run b") == []
    assert len(reader.all(".since.broke li")) == 10
    assert len(reader.all(".since.broke a")) == 10
    assert (reader.requests, reader.problems) == ([path.as_uri()], [])


def test_a_page_without_a_baseline_has_no_filter_for_it(reader: Reader, page: Path) -> None:
    reader.open(page)
    assert not reader.one("#since").is_displayed()
    assert reader.all(".since, .compared, .figures") == []
