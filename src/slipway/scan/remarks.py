# ruff: noqa: E501  a remark is a line
r"""Remarks that the libraries write into model cards: the template of huggingface_hub (1.x), and transformers' Trainer.

They are HTML, which a card may not hold, and they do not show. These are known word for word, so they hide nothing;
peft and others write them into every card. Any other remark is refused.

>>> without("# x\n<!-- Provide the basic links for the model. -->\n")
'# x\n \n'
"""

import re

KNOWN = frozenset({
    'Address questions around how the model is intended to be used, including the foreseeable users of the model and those affected by the model.',
    'If relevant, include terms and calculations in this section that can help readers understand the model or model card.',
    'If there is a paper or blog post introducing the model, the APA and Bibtex information for that should go in this section.',
    'Provide a longer summary of what this model is.',
    'Provide a quick summary of what the model is/does.',
    'Provide the basic links for the model.',
    'Relevant interpretability work for the model goes here',
    'These are the evaluation metrics being used, ideally with a description of why.',
    'These are the things the evaluation is disaggregating by, e.g., subpopulations or domains.',
    'This model card has been generated automatically according to the information the Trainer had access to. You should probably proofread and complete it, then remove this comment.',
    'This relates heavily to the Technical Specifications. Content here should link to that section when it is relevant to the training procedure.',
    'This section addresses misuse, malicious use, and uses that the model will not work well for.',
    'This section describes the evaluation protocols and provides the results.',
    'This section is for the model use when fine-tuned for a task, or when plugged into a larger ecosystem/app',
    'This section is for the model use without fine-tuning or plugging into a larger ecosystem/app.',
    'This section is meant to convey both technical and sociotechnical limitations.',
    'This section is meant to convey recommendations with respect to the bias, risk, and technical limitations.',
    'This section provides information about throughput, start/end time, checkpoint size if relevant, etc.',
    'This should link to a Data Card if possible.',
    'This should link to a Data Card, perhaps with a short stub of information on what the training data is all about as well as documentation related to data pre-processing or additional filtering.',
    'This should link to a Dataset Card if possible.',
    'This should link to a Dataset Card, perhaps with a short stub of information on what the training data is all about as well as documentation related to data pre-processing or additional filtering.',
    'Total emissions (in grams of CO2eq) and additional considerations, such as electricity usage, go here. Edit the suggested text below accordingly',
    'fp32, fp16 mixed precision, bf16 mixed precision, bf16 non-mixed precision, fp16 non-mixed precision, fp8 mixed precision',
})  # fmt: skip
_REMARK = re.compile(r"<!--(.{1,400}?)-->", re.DOTALL)


def without(content: str) -> str:
    """A card without the remarks that are known."""
    return _REMARK.sub(lambda found: " " if " ".join(found[1].split()) in KNOWN else found[0], content)
