"""DeepEval itself → the files its `save_as` writes: `python write_deepeval.py FOLDER`."""

import sys

from deepeval.dataset import ConversationalGolden, EvaluationDataset, Golden
from deepeval.test_case import RetrievedContextData, ToolCall, Turn

folder = sys.argv[1]
goldens = EvaluationDataset(
    goldens=[
        Golden(
            input="Can I return shoes?\nThey are too small.",
            actual_output="Yes, within 30 days.",
            expected_output="You can return shoes within 30 days.",
            context=["Returns: 30 days.", "Shoes must be unworn."],
            retrieval_context=[RetrievedContextData(source="faq.md", context="Returns: 30 days."), "Shipping is free."],
            name="returns",
            comments="asked often",
            source_file="faq.md",
            tools_called=[ToolCall(name="search", input_parameters={"q": "returns"}, output="30 days")],
            expected_tools=[ToolCall(name="search", input_parameters={"q": "returns"})],
            additional_metadata={"team": "support", "level": 2},
            custom_column_key_values={"market": "de"},
        ),
        Golden(input="=1+1", expected_output="هل يمكنني إرجاع الحذاء؟ نعم، خلال 30 يومًا."),
        Golden(input="ללא תשובה"),
    ]
)
for kind in ("csv", "json", "jsonl"):
    goldens.save_as(kind, folder, "goldens")

talks = EvaluationDataset(
    goldens=[
        ConversationalGolden(
            scenario="A customer wants to return shoes.",
            expected_outcome="The customer knows how.",
            context=["Returns: 30 days."],
            name="talk",
            turns=[
                Turn(role="user", content="I want to return shoes."),
                Turn(role="assistant", content="Which order?", retrieval_context=["Orders have numbers."]),
                Turn(role="user", content="Order 7."),
                Turn(role="assistant", content="Done."),
            ],
        ),
        ConversationalGolden(scenario="Somebody is angry."),
    ]
)
for kind in ("csv", "json"):
    talks.save_as(kind, folder, "talks")
