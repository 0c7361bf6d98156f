"""Chat templates of many models and shapes, for the tests. Qwen's own two are files in tests/data.

The formats are those of well-known models; the texts are our own.
"""

from pathlib import Path

DATA = Path(__file__).parent / "data"
QWEN2_5 = (DATA / "qwen2_5_chat_template.jinja").read_text(encoding="utf-8")
QWEN3 = (DATA / "qwen3_chat_template.jinja").read_text(encoding="utf-8")
QWEN_SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."

TURN = "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
TURNS = "{% for message in messages %}" + TURN + "{% endfor %}"
OPENING = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
CHATML = TURNS + OPENING
NO_SYSTEM = "{% if messages[0]['role'] != 'system' %}"


def default_system(text: str) -> str:
    """ChatML with a default system turn whose text is the Jinja expression `text`."""
    turn = "{{ '<|im_start|>system\\n' + " + text + " + '<|im_end|>\\n' }}"
    return NO_SYSTEM + turn + "{% endif %}" + CHATML


VARIANTS = {
    "chatml": CHATML,
    "qwen2.5": QWEN2_5,
    "qwen2.5-math": QWEN2_5.replace(
        QWEN_SYSTEM,
        r"Please reason step by step, and put your final answer within \\boxed{}. It\'s 数学.",
    ),
    "qwen3": QWEN3,
    "thinking-2507": QWEN3.split("{%- if add_generation_prompt %}")[0]
    + "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}",
    "instruct-2507": QWEN2_5.replace("<|im_start|>system\\n" + QWEN_SYSTEM + "<|im_end|>\\n", ""),
    "quotes in the default system text": default_system("\"He said 'be brief' and left.\""),
    "escaped quotes in it": default_system(r"'It\'s \"short\".'"),
    "a default system text in a variable": "{% set words = 'Be short. It\\'s late.' %}"
    + default_system("words"),
    "a concatenated default system text": default_system("'Be ' + 'brief' ~ '.'"),
    "a joined default system text": default_system("['Be', 'brief.'] | join(' ')"),
    "a default system text without a turn": NO_SYSTEM + "Be brief.\n{% endif %}" + CHATML,
    "a set block": "{% set words %}Be brief, it's late.{% endset %}" + default_system("words"),
    "text before the first turn": "### A conversation\n" + CHATML,
    "text after the last turn": CHATML + "\n### Now you\n",
    "suffix on user turns": CHATML.replace(
        "message['content'] +",
        "message['content'] + (' /no_think' if message['role'] == 'user' else '') +",
    ),
    "prefix on user turns": CHATML.replace(
        "message['content'] +",
        "('Q: ' if message['role'] == 'user' else 'A: ') + message['content'] +",
    ),
    "suffix on the last user turn": CHATML.replace(
        "message['content'] +", "message['content'] + (' (think!)' if loop.last else '') +"
    ),
    "no line break after a turn": CHATML.replace(" + '\\n' }}{% endfor", " }}{% endfor"),
    "a space after the role": CHATML.replace("message['role'] + '\\n'", "message['role'] + ': '"),
    "no generation prompt": TURNS,
    "a generation prompt that is always there": TURNS + "{{ '<|im_start|>assistant\\n' }}",
    "begin and end of the whole": "{{ bos_token }}" + CHATML + "{{ eos_token }}",
    "undefined names": "{{ cls_token }}{{ unheard_of }}" + CHATML,
    "thinking by a flag": TURNS
    + "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    + "{%- if enable_thinking is defined and enable_thinking %}{{- '<think>\\n' }}"
    + "{%- else %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}",
    "llama-2": "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
    "{% set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}"
    "{% else %}{% set rest = messages %}{% set system = '' %}{% endif %}"
    "{% for message in rest %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% set content = (system if loop.first else '') + message['content'] %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "llama-3": "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|im_start|>' + message['role'] + '\\n\\n' + message['content'] | trim "
    "+ '<|im_end|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
    "{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\\n\\n' }}{% endif %}",
    "llama-3.1 with a date": "{{- bos_token }}{%- if strftime_now is defined %}"
    "{%- set date_string = strftime_now('%Y') %}{%- endif %}"
    "{{- '<|im_start|>system\\n\\nToday: ' + date_string + '\\n\\n' }}"
    "{%- for message in messages %}{{- message.role + ': ' + message.content | trim + '\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- 'assistant: ' }}{%- endif %}",
    "mistral": "{%- for message in messages %}{%- if message.role == 'user' %}"
    "{{- '[INST]' + message.content + '[/INST]' }}{%- elif message.role == 'assistant' %}"
    "{{- ' ' + message.content + eos_token }}{%- else %}"
    "{{- '[SYSTEM]' ~ message.content ~ '[/SYSTEM]' }}{%- endif %}{%- endfor %}",
    "gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}"
    "{% set role = message['role'] %}{% endif %}"
    "{{ '<|im_start|>' + role + '\\n' + message['content'] | trim + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>model\\n'}}{% endif %}",
    "gemma-3": "{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}"
    "{%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}"
    "{%- set loop_messages = messages[1:] -%}{%- else -%}{%- set first_user_prefix = '' -%}"
    "{%- set loop_messages = messages -%}{%- endif -%}{%- for message in loop_messages -%}"
    "{%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}"
    "{{ '<|im_start|>' + role + '\n' + (first_user_prefix if loop.first else '') }}"
    "{%- if message['content'] is string -%}{{ message['content'] | trim }}"
    "{%- elif message['content'] is iterable -%}{%- for item in message['content'] -%}"
    "{{ item['text'] | trim }}{%- endfor -%}{%- endif -%}{{ '<|im_end|>\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{'<|im_start|>model\n'}}{%- endif -%}",
    "zephyr": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
    "{{ '<|user|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'system' %}\n"
    "{{ '<|system|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'assistant' %}\n"
    "{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
    "phi-4": "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}",
    "vicuna": "{% for m in messages %}{{ {'user': 'USER: ', 'assistant': 'ASSISTANT: ', "
    "'system': ''}[m.role] }}{{ m.content | trim }}{{ '</s>' if m.role == 'assistant' else ' ' }}"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}",
    "alpaca": "{% for m in messages if m.role != 'system' %}### {{ m.role | upper }}:\n"
    "{{ m.content }}\n\n{% else %}nothing{% endfor %}"
    "{% if add_generation_prompt %}### RESPONSE:\n{% endif %}",
    "deepseek-r1": "{% if not add_generation_prompt is defined %}"
    "{% set add_generation_prompt = false %}{% endif %}"
    "{% set ns = namespace(is_first=false, system_prompt='') %}{%- for message in messages %}"
    "{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}"
    "{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}"
    "{%- if message['role'] == 'user' %}{{'<|im_start|>' + message['content']}}{%- endif %}"
    "{%- if message['role'] == 'assistant' %}{% set content = message['content'] %}"
    "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{{'<|a spare one|>' + content + '<|im_end|>'}}{%- endif %}{%- endfor %}"
    "{% if add_generation_prompt %}{{'<|a spare one|><think>\\n'}}{% endif %}",
    "a macro": "{%- macro turn(role, words='') -%}\n<|im_start|>{{ role }}\n{{ words }}<|im_end|>\n"
    "{%- endmacro -%}\n{%- for m in messages %}\n{{ turn(m.role, words=m.content) }}\n{%- endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{%- endif %}",
    "a macro with a caller": "{% macro wrap(role) %}<|im_start|>{{ role }}\n{{ caller() }}"
    "<|im_end|>\n{% endmacro %}{% for m in messages %}{% call wrap(m.role) %}"
    "{{ m.content.strip() }}{% endcall %}{% endfor %}" + OPENING,
    "break and continue": "{% for message in messages %}"
    "{% if message.content == '' %}{% continue %}{% endif %}" + TURN + "{% if loop.index > 3 %}"
    "{% break %}{% endif %}{% endfor %}" + OPENING,
    "the generation tag": "{% for message in messages %}{% if message.role == 'assistant' %}"
    "<|im_start|>assistant\n{% generation %}{% set end = '<|im_end|>' %}{{ message.content }}"
    "{{ end }}{% endgeneration %}{{ end }}\n{% else %}"
    + TURN
    + "{% endif %}{% endfor %}"
    + OPENING,
    "json": "{{ messages | tojson }}\n{% for m in messages %}"
    "{{ {'role': m.role, 'text': m.content} | tojson(indent=2) }}<|im_end|>\n{% endfor %}"
    + OPENING,
    "stripping": "{% for m in messages %}<|im_start|>{{ m.role | capitalize }}\n"
    "{{ m.content.lstrip('\\n').rstrip() }}|{{ m.content | trim | length }}<|im_end|>\n"
    "{% endfor %}" + OPENING,
    "cutting": "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content[:12] }}|"
    "{{ m.content[-5:] }}|{{ m.content.split(' ')[0] }}<|im_end|>\n{% endfor %}" + OPENING,
    "replacing": "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{{ m.content | replace('o', '0') }}{{ m.content.replace('\\n', ' ') }}<|im_end|>\n"
    "{% endfor %}" + OPENING,
    "going backwards": "{% for message in messages[::-1] %}" + TURN + "{% endfor %}" + OPENING,
    "neighbours": "{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined }}>"
    "{{ loop.length }}{{ loop.revindex }}{{ loop.cycle('a', 'b') }}{{ loop.changed(m.role) }}"
    "{{ '<|im_start|>' ~ m.role ~ '\\n' ~ m.content ~ '<|im_end|>\\n' }}{% endfor %}" + OPENING,
    "filters": "{{ messages | map(attribute='role') | unique | sort | join(',') }}"
    "{{ (messages | selectattr('role', 'equalto', 'user') | list | length) * '-' }}"
    "{{ messages | rejectattr('content', 'equalto', '') | map(attribute='content') | join }}"
    "{{ '%s=%d' | format('n', messages | length) }}{{ '{}!'.format(messages[-1].role) }}" + CHATML,
    "white space and comments": "{# A comment #}\n    {% for message in messages %}\n"
    "    {%- if true %}\n  <|im_start|>{{ message.role }}\n  {{- message.content -}}\n <|im_end|>\n"
    "    {% endif -%}\n\n{% endfor %}\n" + OPENING + "\n",
    "openchat": "{{ bos_token }}{% for message in messages %}{{ 'GPT4 Correct ' + "
    "message['role'].title() + ': ' + message['content'] + '<|im_end|>'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'GPT4 Correct Assistant:' }}{% endif %}",
    "reasoning kept": "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.reasoning_content is defined and m.reasoning_content %}<think>"
    "{{ m['reasoning_content'] | trim }}</think>{% endif %}{{ m.get('content', '') }}<|im_end|>\n"
    "{% endfor %}" + OPENING,
}
