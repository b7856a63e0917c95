"""Draws the deployed parts and the state machine as they stand in the synthesized template.

The parts' arrows are what their roles may do to one another, so a picture shows what is deployed and nothing else.
Graphviz' dot finds the places; how it looks is said here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html import escape
from typing import Any, Iterator

from pygraphviz import AGraph

PARTS = {
    "AWS::ECS::TaskDefinition": "Fargate",
    "AWS::Events::Rule": "EventBridge rule",
    "AWS::Lambda::Function": "Lambda",
    "AWS::Pipes::Pipe": "EventBridge pipe",
    "AWS::S3::Bucket": "S3 bucket",
    "AWS::SQS::Queue": "SQS queue",
    "AWS::StepFunctions::StateMachine": "Step Functions",
}
"""The kinds of resources that are shown, where an arrow leads to or from them."""
WITHOUT = {"Buckets", "Doors", "Definition"}
"""What a part's name can do without."""
OTHERS = {":event-bus/default": ("Event bus", "the account's own"), ":pipeline/": ("Pipelines", "SageMaker")}
"""What is not deployed here and yet is talked to, by a piece of its ARN."""
GIVES = {
    "ecs:RunTask": "runs",
    "events:PutEvents": "tells",
    "lambda:InvokeFunction": "invokes",
    "s3:PutObject": "writes",
    "sagemaker:SendPipelineExecutionStepSuccess": "answers",
    "states:StartExecution": "starts",
}
TAKES = {"s3:GetObject": "reads", "sqs:ReceiveMessage": "receives"}
"""What a role may do, as an arrow from its owner, or to it: arrows go where the data goes."""

FONT = 'font-family="ui-sans-serif, system-ui, sans-serif" font-size="14"'
STYLE = """
    text { text-anchor: middle; fill: #1f2328; }
    .word { font-weight: 600; }
    .small { font-size: 12px; fill: #57606a; }
    .node { fill: #f6f8fa; stroke: #57606a; }
    .choice { fill: #ddf4ff; stroke: #54aeff; }
    .pass { fill: #ffffff; stroke: #afb8c1; }
    .good { fill: #dafbe1; stroke: #4ac26b; }
    .bad { fill: #ffebe9; stroke: #ff8182; }
    .yours { stroke: #bc4c00; stroke-width: 2; }
    .line { stroke: #57606a; fill: none; stroke-width: 1.4; }
    .fails { stroke: #cf222e; stroke-dasharray: 5 4; }
"""

Json = dict[str, Any]


POINTS = 72
"""SVG's and Graphviz' unit, in an inch."""


@dataclass(frozen=True)
class Box:
    """A node with a name and a line on what it is."""

    name: str
    what: str = ""
    style: str = "node"

    @property
    def size(self) -> tuple[float, float]:
        wide = max(8.2 * len(self.name), 6.4 * len(self.what)) + (48 if self.style == "choice" else 30)
        return max(wide, 84), 48 if self.what else 36


@dataclass(frozen=True)
class Arrow:
    """From one box to another, with a word on it or none; `fails`: the way that errors go."""

    tail: str
    head: str
    word: str = ""
    fails: bool = False


def architecture(template: Json) -> str:
    """The deployed parts, and who may do what to whom."""
    outputs = json.dumps(template["Outputs"])
    found = {*_allowed(template), *_delivered(template)}
    arrows = sorted(found, key=lambda arrow: (arrow.tail, arrow.head, arrow.word))
    writes = {(arrow.tail, arrow.head) for arrow in arrows if arrow.word == "writes"}
    # Who writes to a bucket may read there too: one arrow says both.
    arrows = [arrow for arrow in arrows if not (arrow.word == "reads" and (arrow.head, arrow.tail) in writes)]
    boxes: dict[str, Box] = {}
    for name in dict.fromkeys(end for arrow in arrows for end in (arrow.tail, arrow.head)):
        if name in template["Resources"]:
            kind = PARTS[template["Resources"][name]["Type"]]
            boxes[name] = Box(_title(name), kind, "node yours" if f'"{name}"' in outputs else "node")
        else:
            boxes[name] = Box(*OTHERS[name], "pass")
    note = "orange: an output of the stack, yours to use · arrows: what roles may do · dashed: what cannot be delivered"
    return _svg("What is deployed, and who may do what to whom", boxes, arrows, note, across=True)


def machine(template: Json) -> str:
    """The states of one repack."""
    name = next(name for name in _of_kind(template, "AWS::StepFunctions::StateMachine") if "Batch" not in name)
    join = template["Resources"][name]["Properties"]["DefinitionString"]["Fn::Join"][1]
    states = json.loads("".join(piece if isinstance(piece, str) else "_" for piece in join))["States"]
    boxes: dict[str, Box] = {state: Box(state, *_looks(states[state])) for state in states}
    arrows = [arrow for state in states for arrow in _ways(state, states[state])]
    return _svg("The state machine of one repack", boxes, arrows, "dashed: the way of an error, after its retries")


def _looks(state: Json) -> tuple[str, str]:
    """The line below a state's name, and its style."""
    match state["Type"]:
        case "Task":
            service = state["Resource"].partition(":::")[2].removeprefix("aws-sdk:")
            brief = service if len(service) < 30 else service.partition(":")[0]
            return brief + (", with retries" if "Retry" in state else ""), "node"
        case "Map":
            (inner,) = state["ItemProcessor"]["States"].values()
            return f"for each: {_looks(inner)[0]}", "node"
        case "Choice":
            return "", "choice"
        case "Succeed":
            return "", "good"
        case "Fail":
            return "", "bad"
    return "", "pass"


def _ways(name: str, state: Json) -> Iterator[Arrow]:
    for choice in state.get("Choices", ()):
        yield Arrow(name, choice["Next"], _condition(choice))
    if "Default" in state:
        yield Arrow(name, state["Default"], "otherwise")
    if "Next" in state:
        yield Arrow(name, state["Next"])
    for catcher in state.get("Catch", ()):
        first, *more = catcher["ErrorEquals"]
        word = "" if first == "States.ALL" else f"{first} or {len(more)} more"
        yield Arrow(name, catcher["Next"], word, fails=True)


def _condition(choice: Json) -> str:
    what = re.findall(r"[\w-]+", choice["Variable"])[-1]
    if "StringEquals" in choice:
        return f"{what}: {choice['StringEquals']}"
    if "StringMatches" in choice:
        return f"{what}: {choice['StringMatches']}"
    return f"has {what}"


def _allowed(template: Json) -> Iterator[Arrow]:
    """What roles allow their owners."""
    owners = {
        role: name
        for name, properties in _parts(template)
        for key, value in _walk(properties)
        if key in ("Role", "RoleArn", "TaskRoleArn")
        for role in _named(template, value)
    }
    for role, statement in _statements(template):
        owner = owners.get(role)
        if owner is None:
            continue
        others = [other for other in _meant(template, statement["Resource"]) if other != owner]
        for action in _many(statement["Action"]):
            yield from (Arrow(owner, other, GIVES[action]) for other in others if action in GIVES)
            yield from (Arrow(other, owner, TAKES[action]) for other in others if action in TAKES)


def _delivered(template: Json) -> Iterator[Arrow]:
    """Where events go, and what cannot be delivered."""
    for name, properties in _parts(template):
        for key, value in _walk(properties):
            if key == "EventPattern":
                yield from (Arrow(bucket, name, "uploads") for bucket in _meant(template, value))
            if key in ("DeadLetterConfig", "RedrivePolicy"):
                yield from (Arrow(name, queue, fails=True) for queue in _meant(template, value))


def _statements(template: Json) -> Iterator[tuple[str, Json]]:
    """Every statement, with the name of the role that it is for."""
    for role, properties in _of_kind(template, "AWS::IAM::Role").items():
        for policy in properties.get("Policies", ()):
            yield from ((role, statement) for statement in policy["PolicyDocument"]["Statement"])
    for properties in _of_kind(template, "AWS::IAM::Policy").values():
        for role in _named(template, properties["Roles"]):
            yield from ((role, statement) for statement in properties["PolicyDocument"]["Statement"])


def _meant(template: Json, value: Any) -> list[str]:
    """The shown parts that a value names, and the others by their ARNs."""
    parts = [name for name in _named(template, value) if template["Resources"][name]["Type"] in PARTS]
    return parts + [piece for piece in OTHERS if piece in json.dumps(value)]


def _named(template: Json, value: Any) -> list[str]:
    """The resources that a value refers to."""
    names = [item[0] if isinstance(item, list) else item for key, item in _walk(value) if key in ("Ref", "Fn::GetAtt")]
    return [name for name in names if name in template["Resources"]]


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, item
            yield from _walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item)


def _parts(template: Json) -> Iterator[tuple[str, Json]]:
    return (part for kind in PARTS for part in _of_kind(template, kind).items())


def _of_kind(template: Json, kind: str) -> dict[str, Json]:
    found = template["Resources"].items()
    return {name: item["Properties"] for name, item in found if item["Type"] == kind and name.startswith("Repacker")}


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _title(logical_id: str) -> str:
    """`RepackerDoorsDeadLetters5EFAE192` is called "Dead letters"."""
    words = re.findall(r"[A-Z][a-z]+", logical_id[: -len("5EFAE192")])[1:]
    return " ".join(word for word in words if word not in WITHOUT).capitalize()


def _svg(title: str, boxes: dict[str, Box], arrows: list[Arrow], note: str, across: bool = False) -> str:
    graph = _graph(boxes, arrows, across)
    left, bottom, right, top = map(float, graph.graph_attr["bb"].split(","))

    def place(words: str) -> tuple[float, float]:
        x, y = words.split(",")
        return float(x) - left, top - float(y)

    wide = max(round(right - left), round(6.4 * len(note))) + 48
    high = round(top - bottom) + 48
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high + 30}" {FONT}>',
        f"  <title>{escape(title)}</title>",
        f"  <style>{STYLE}  </style>",
        f'  <rect width="{wide}" height="{high + 30}" rx="8" fill="#ffffff"/>',
        *(f"  {_marker(name, colour)}" for name, colour in (("head", "#57606a"), ("fail", "#cf222e"))),
        f'  <g transform="translate({(wide - right + left) / 2:.1f} 24)">',
    ]
    words = []
    for number, arrow in enumerate(arrows):
        edge = graph.get_edge(arrow.tail, arrow.head, key=number).attr
        start, *curve = (f"{x:.1f} {y:.1f}" for x, y in map(place, edge["pos"].split()))
        kind, marker = ("line fails", "fail") if arrow.fails else ("line", "head")
        lines.append(f'    <path class="{kind}" d="M{start}C{" ".join(curve)}" marker-end="url(#{marker})"/>')
        words += [_text(arrow.word, *place(edge["lp"]), "small")] if arrow.word else []
    for name, box in boxes.items():
        lines += [f"    {shape}" for shape in _shape(box, *place(graph.get_node(name).attr["pos"]))]
    lines += [f"    {word}" for word in words]
    return "\n".join([*lines, "  </g>", f"  {_text(note, wide / 2, high + 10, 'small')}", "</svg>\n"])


def _graph(boxes: dict[str, Box], arrows: list[Arrow], across: bool) -> AGraph:
    """The graph with the places that dot found: `bb` of all, `pos` of nodes and edges, `lp` of words on edges."""
    graph = AGraph(directed=True, strict=False, rankdir="LR" if across else "TB", ranksep=0.5, nodesep=0.3)
    for name, box in boxes.items():
        wide, high = (length / POINTS for length in box.size)
        graph.add_node(name, label="", shape="box", fixedsize="true", width=wide, height=high)
    for number, arrow in enumerate(arrows):
        looks = {"arrowhead": "none"}  # the SVG's own markers lie at the ends
        if arrow.word:
            # A table of a fixed size, so that nothing depends on the fonts of this machine.
            size = f'WIDTH="{6.6 * len(arrow.word) + 12:.0f}" HEIGHT="18"'
            looks["label"] = f'<<TABLE FIXEDSIZE="TRUE" BORDER="0" {size}><TR><TD></TD></TR></TABLE>>'
        # A choice's corners are cut: arrows keep to the middle of its sides.
        ends = (("tailport", arrow.tail, "s"), ("headport", arrow.head, "n"))
        looks |= {port: side for port, end, side in ends if boxes[end].style == "choice"}
        graph.add_edge(arrow.tail, arrow.head, key=number, **looks)
    graph.layout("dot")
    return graph


def _marker(name: str, colour: str) -> str:
    box = 'viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"'
    return f'<marker id="{name}" {box}><path d="M0 0 8 4 0 8z" fill="{colour}"/></marker>'


def _shape(box: Box, x: float, y: float) -> Iterator[str]:
    wide, high = box.size
    if box.style == "choice":
        left, right, top, bottom = x - wide / 2, x + wide / 2, y - high / 2, y + high / 2
        points = [(left, y), (left + 16, top), (right - 16, top), (right, y), (right - 16, bottom), (left + 16, bottom)]
        yield f'<polygon class="choice" points="{" ".join(f"{at:.1f},{down:.1f}" for at, down in points)}"/>'
    else:
        round_ = high / 2 if box.style in ("good", "bad") else 8
        place = f'x="{x - wide / 2:.1f}" y="{y - high / 2:.1f}" width="{wide:.1f}" height="{high}" rx="{round_:g}"'
        yield f'<rect class="{box.style}" {place}/>'
    yield _text(box.name, x, y - 7 if box.what else y, "word")
    if box.what:
        yield _text(box.what, x, y + 11, "small")


def _text(text: str, x: float, y: float, style: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y + 4.5:.1f}">{escape(text, quote=False)}</text>'
