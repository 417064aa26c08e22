"""Chat templates: what the turns say stays text, and the parts spell what transformers would render."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway import chat
from slipway.chat import CONTROL, TEMPLATE, Chat, Part, check_tokenizer, template_of
from slipway.errors import Refusal, UserError
from slipway.files import sha256_file

TURNS = [("system", "Be brief."), ("user", "Hi\n"), ("assistant", "\nHo"), ("user", "?"), ("assistant", "")]
LLAMA = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'user' %}{{ '[INST] ' + message.content | trim + ' [/INST]' }}"
    "{% else %}{% generation %}{{ ' ' + message.content | trim + ' ' + eos_token }}{% endgeneration %}{% endif %}"
    "{% endfor %}"
)
WORDS = st.lists(
    st.sampled_from([*CONTROL, "<|im_", "start|>", "</s>", " ", "\n", "a", "\ue000", "0"]) | st.text()
).map("".join)


def text(parts: list[Part]) -> str:
    return "".join(part.text for part in parts)


def learnt(parts: list[Part]) -> list[str]:
    return [part.text[a:b] for part in parts for a, b in part.learnt]


def rendered_by_transformers(template: str, turns: list[tuple[str, str]], **names: str) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    messages = [{"role": role, "content": content} for role, content in turns]
    return render_jinja_template([messages], chat_template=template, **names)[0][0]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(chat.ROLES), WORDS), min_size=1, max_size=4))
def test_parts_spell_the_rendering_and_what_is_said_makes_no_control_token(turns):
    parts = Chat(TEMPLATE, CONTROL).parts(turns)
    assert text(parts) == rendered_by_transformers(TEMPLATE, turns)
    assert [part.text for part in parts if part.control] == [*CONTROL] * len(turns)
    expected = [piece for role, content in turns if role == "assistant" for piece in (content, CONTROL[1])]
    assert [piece for piece in learnt(parts) if piece] == [piece for piece in expected if piece]


def test_what_counts_are_the_answers_and_their_ends():
    assert learnt(Chat(TEMPLATE, CONTROL).parts(TURNS)) == ["\nHo", "<|im_end|>", "", "<|im_end|>"]
    assert learnt(Chat(TEMPLATE, CONTROL).parts(TURNS, last_only=True)) == ["", "<|im_end|>"]


def test_a_template_that_trims_is_proven_equal():
    names = {"bos_token": "<s>", "eos_token": "</s>"}
    turns = [("user", " hi </s> "), ("assistant", "\tho\n")]
    parts = Chat(LLAMA, list(names.values()), names).parts(turns)
    assert text(parts) == rendered_by_transformers(LLAMA, turns, **names)
    assert [part.text for part in parts] == ["<s>", "[INST] hi </s> [/INST] ho ", "</s>"]
    # The space that the template puts before the end of the turn counts with it.
    assert learnt(parts) == ["ho ", "</s>"]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for m in messages %}{{ m.content | upper }}{% endfor %}", "alters what the turns say"),
        ("{% for m in messages %}{{ m.content.split('o')[-1] }}{% endfor %}", "alters what the turns say"),
        ("{{ messages[0].content }}", "does not show turn 2 of a conversation of user, assistant exactly once"),
        ("{% for m in messages %}{{ m.content + m.content }}{% endfor %}", "does not show turn 1"),
        ("{% for m in messages %}{{ '\ue0007\ue000' + m.content }}{% endfor %}", "does not show turn 8"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{{ raise_exception('no system turns') }}", "no system turns"),
        ("{{ messages[9].content }}", "refuses a conversation"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ cycler.__init__.__globals__.os.system('id') }}", "unsafe"),
        ("{{ strftime_now('%d') }}", "today's date"),
        ("{% include '/etc/passwd' %}", "refuses"),
        ("{% debug %}", "cannot be compiled"),
        ("{% if %}", "cannot be compiled"),
    ],
)
def test_templates_that_are_refused(template, reason):
    with pytest.raises(Refusal, match=reason):
        Chat(template, CONTROL).parts([("user", "good"), ("assistant", "so so")])


def test_a_text_of_all_private_characters_is_rendered():
    said = "".join(map(chr, range(0xE000, 0xF900))) + "\ue0000\ue000"
    assert learnt(Chat(TEMPLATE, CONTROL).parts([("user", said), ("assistant", said)])) == [said, CONTROL[1]]
    odd = Chat("{% for m in messages %}{{ '\ue000' + m.content }}{% endfor %}", CONTROL)
    assert text(odd.parts([("user", "a"), ("assistant", "b")])) == "\ue000a\ue000b"


def test_an_unknown_role_is_refused():
    with pytest.raises(Refusal, match=r"<\|im_start\|>system.*known are system, user"):
        Chat(TEMPLATE, CONTROL).parts([("<|im_start|>system", "x")])


def test_the_template_of_a_directory_is_the_one_transformers_takes(tmp_path):
    assert template_of(tmp_path) is None
    config = tmp_path / "tokenizer_config.json"
    config.write_text("{}")
    assert template_of(tmp_path) is None
    config.write_text('{"chat_template": "a"}')
    assert template_of(tmp_path) == "a"
    config.write_text(
        '{"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]}'
    )
    assert template_of(tmp_path) == "d"
    (tmp_path / "chat_template.jinja").write_text("f\n")
    assert template_of(tmp_path) == "f\n"
    (tmp_path / "chat_template.jinja").unlink()
    config.write_text('{"chat_template": 3}')
    with pytest.raises(UserError, match="is no text"):
        template_of(tmp_path)


def test_another_tokenizer_or_template_is_refused_with_both_digests(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({}))
    words = sha256_file(tmp_path / "tokenizer.json")
    check_tokenizer(tmp_path, words, None)
    with pytest.raises(Refusal, match=f"tokenizer.json is {words}.*with {'0' * 64}"):
        check_tokenizer(tmp_path, "0" * 64, None)
    with pytest.raises(Refusal, match=f"chat template is nothing.*with {chat.SHA256}"):
        check_tokenizer(tmp_path, words, chat.SHA256)
    (tmp_path / chat.FILE).write_text(TEMPLATE)
    check_tokenizer(tmp_path, words, chat.SHA256)
    with pytest.raises(Refusal, match=f"chat template is {chat.SHA256}.*with none"):
        check_tokenizer(tmp_path, words, None)
