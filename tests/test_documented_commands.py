"""The list of every documented command is complete, and what makes it runs commands as a shell does."""

from __future__ import annotations

import re
import socket
import time

import pytest
from documented_commands import FAILED, TABLE, Run, commands_in, entry_of, page_of, run_command, sections_of
from shell_blocks import PAGE, commands_of, documented, execute, shell_blocks

COMMANDS = documented()
SECTIONS = sections_of(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("document", sorted({document for document, _ in COMMANDS}))
def test_every_documented_command_is_run_or_has_a_reason(document):
    for name, command in COMMANDS:
        if name == document:
            assert entry_of(document, command) in TABLE


def test_a_command_that_the_table_does_not_know_is_an_error():
    with pytest.raises(SystemExit, match=r"docs/faq\.md: rm -rf results: TABLE .* says neither"):
        entry_of("docs/faq.md", "rm -rf results")


def test_the_table_has_no_line_for_a_command_that_no_document_has():
    assert set(TABLE) == {entry_of(document, command) for document, command in COMMANDS}


def test_the_list_has_every_documented_command_under_its_document_and_no_other():
    listed = [(document, command) for document in SECTIONS for command in commands_in(SECTIONS[document])]
    assert listed == COMMANDS, "run: python tests/documented_commands.py"


def test_the_list_says_of_every_command_how_it_ended_or_why_it_was_not_run():
    said = re.findall(r"^```\n\n(Exit \d+ after \d+\.\d s|Not run: \w)", "".join(SECTIONS.values()), re.MULTILINE)
    assert len(said) == len(COMMANDS)


def test_a_block_is_read_as_a_shell_reads_it():
    block = (
        "study list   # the spaces\n\n# nothing\necho '#1' \\\n    two\npython - <<'END'\nprint(1)  # one\nEND\ntrue\n"
    )
    assert list(commands_of(block)) == ["study list", "echo '#1' two", "python - <<'END'\nprint(1)  # one\nEND", "true"]


def test_only_indented_blocks_and_those_called_bash_are_commands():
    text = "    one\n\n- a list\n\n  ```bash\n  two\n  ```\n\n```\nresults/\n```\n\n```python\nimport study\n```\n"
    assert shell_blocks(text) == ["one\n", "two\n"]
    assert shell_blocks(text, indented=False) == ["two\n"]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_a_command_that_stays_in_the_foreground_answers_and_is_ended_by_ctrl_c(tmp_path):
    begun = time.monotonic()
    port = free_port()
    serve = f"trap 'echo ended; exit 7' INT; python -u -m http.server {port} --bind 127.0.0.1"
    assert execute(serve, tmp_path, answers=f"http://127.0.0.1:{port}")[0] == 7
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize("status", [0, 3])
def test_one_that_ends_before_it_answers_has_failed(status, tmp_path):
    address = f"http://127.0.0.1:{free_port()}"
    assert execute(f"exit {status}", tmp_path, answers=address) == (status or 1, f"{address} has not answered\n")


def test_one_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("shell_blocks.TIMEOUT", 0.5)
    assert execute("echo begun; sleep 60", tmp_path) == (137, "begun\n")


def test_what_a_command_came_to_is_shown_without_the_places_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setitem(TABLE, "pwd", Run(add="; printf '1 %%\\r100 %%\\n'; exit 3", before="true"))
    shown = re.sub(r"\d+\.\d s", "0.1 s", run_command("docs/faq.md", "pwd", tmp_path))
    first, said, output = shown.split("\n\n")
    assert first == "```bash\npwd\n```"
    assert said == "Exit 3 after 0.1 s; run as `pwd ; printf '1 %%\\r100 %%\\n'; exit 3`; after `true`"
    assert output == "```text\nhere\n100 %\n```"


def test_the_page_is_read_back_as_it_was_written(tmp_path):
    ran = run_command("README.md", "ray up cluster.yaml", tmp_path)
    sections = {"README.md": f"1 s in all.\n\n{ran}", "docs/faq.md": "```bash\ntrue\n```\n\nExit 2 after 0.1 s"}
    page = page_of(sections)
    assert "2 commands: 1 run, of which 1 failed, and 1 not run." in page
    assert sections_of(page) == sections
    assert [commands_in(section) for section in sections.values()] == [["ray up cluster.yaml"], ["true"]]


def test_what_ctrl_c_ended_has_not_failed():
    ended = ("Exit 0 after 1.0 s", "Exit 130 after 1.0 s; `http://127.0.0.1:8080` answered, then Ctrl-C")
    assert not any(map(FAILED.search, ended))
    assert all(map(FAILED.search, ("Exit 1 after 1.0 s", "Exit 130 after 1.0 s", "Exit 137 after 1.0 s")))
