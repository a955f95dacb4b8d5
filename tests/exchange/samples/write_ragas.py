"""RAGAS itself → the files its datasets write: `python write_ragas.py FOLDER`."""

import sys
from pathlib import Path

from ragas import EvaluationDataset, MultiTurnSample, SingleTurnSample
from ragas.messages import AIMessage, HumanMessage, ToolCall, ToolMessage

folder = Path(sys.argv[1])
single = EvaluationDataset(
    samples=[
        SingleTurnSample(
            user_input="Who wrote it?",
            response='Ada\'s friend, "B".',
            reference="Ada",
            retrieved_contexts=["Ada's notes,\nfirst part", 'A "quoted" passage'],
            reference_contexts=["Ada wrote it."],
            rubrics={"score1_description": "wrong", "score5_description": "right"},
        ),
        SingleTurnSample(
            user_input="من كتبها؟",
            response="كتبتها آدا.",
            reference="آدا",
            retrieved_contexts=["آدا كتبت الملاحظات."],
            reference_contexts=["آدا"],
            rubrics={"score1_description": "خطأ", "score5_description": "صحيح"},
        ),
    ]
)
single.to_csv(folder / "single.csv")
single.to_jsonl(folder / "single.jsonl")
single.to_pandas().to_json(folder / "single.json", orient="records", force_ascii=False)
talk = MultiTurnSample(
    user_input=[
        HumanMessage(content="What is the weather in Rome?"),
        AIMessage(content="I look.", tool_calls=[ToolCall(name="weather", args={"city": "Rome"})]),
        ToolMessage(content="24 °C"),
        AIMessage(content="It is 24 °C."),
        HumanMessage(content="Thanks"),
        AIMessage(content="You are welcome."),
    ],
    reference="It is 24 °C.",
    reference_tool_calls=[ToolCall(name="weather", args={"city": "Rome"})],
)
talks = EvaluationDataset(samples=[talk])
talks.to_csv(folder / "talks_ragas.csv")
talks.to_jsonl(folder / "talks_ragas.jsonl")
