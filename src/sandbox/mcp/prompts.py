"""Prompts: how a task is best done here, for users to choose and models to follow."""

from __future__ import annotations

from typing import NamedTuple

from mcp_types import GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

from sandbox.mcp.reply import ToolError


class Argument(NamedTuple):
    """What a user is asked for. `otherwise` is what is meant if it is left out; None: it must be given."""

    name: str
    description: str
    otherwise: str | None = None


class Recipe(NamedTuple):
    """One prompt; `text` has a place for each argument."""

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    text: str

    def listed(self) -> Prompt:
        """The prompt as clients are told of it."""
        arguments = [
            PromptArgument(name=one.name, description=one.description, required=one.otherwise is None)
            for one in self.arguments
        ]
        return Prompt(name=self.name, title=self.title, description=self.description, arguments=arguments)

    def filled(self, given: dict[str, str]) -> GetPromptResult:
        """The prompt with a user's arguments. Raises ToolError."""
        if missing := [one.name for one in self.arguments if one.otherwise is None and not given.get(one.name)]:
            raise ToolError(f"the prompt {self.name} needs {', '.join(missing)}")
        values = {one.name: given.get(one.name) or one.otherwise for one in self.arguments}
        text = TextContent(type="text", text=self.text.format(**values))
        return GetPromptResult(description=self.description, messages=[PromptMessage(role="user", content=text)])


PROMPTS = (
    Recipe(
        "plot",
        "Plot something",
        "Draw a figure in the sandbox and look at it before showing it.",
        (
            Argument("what", "What to draw, such as: the population of Europe's capitals as bars."),
            Argument("data", "Where the data is: a file of the workspace, a variable, or the data itself.", "made up"),
        ),
        """\
Draw this: {what}
The data: {data}

Work in the sandbox, in this order:
1. If the data is a file or a variable, look at it first (execute; session_timeline lists the variables).
2. Draw it with matplotlib in one execute call and end with plt.show(). Label the axes with units, give it a title that
   states what is to be seen, and use a size and a dpi that can be read: figsize=(8, 5), dpi=120.
3. Look at the image in the answer: is everything legible, does nothing overlap, does it show what was asked for? If
   not, draw it again.
4. Tell the user what is to be seen, and name the artifact's URI.""",
    ),
    Recipe(
        "animate",
        "Animate an explanation",
        "Plan a storyboard for an idea, and render it with Manim scene by scene.",
        (
            Argument("concept", "What to explain, such as: why the angles of a triangle add up to 180 degrees."),
            Argument("audience", "Who it is for.", "curious people without previous knowledge"),
            Argument("seconds", "About how long the whole is to be.", "20"),
        ),
        """\
Explain this with an animation: {concept}
For: {audience}
About {seconds} seconds in all.

1. Write a storyboard first: two to five steps. For each, one sentence that says what is understood after it, what is on
   the screen, what moves and why, and for how many seconds. Show the idea before its formula, one new thing at a time.
2. Render with create_manim_animation, one Scene class with a construct method for each step of the storyboard:
   - keep texts short (Text, font_size 28 to 40) and formulas in MathTypst, such as MathTypst("x^2 / 2"): LaTeX may be
     missing; give the same thing the same colour throughout;
   - place things in relation to each other (next_to, to_edge, VGroup(...).arrange(...)) in a frame of 14 x 8 units;
   - transform what is there rather than replacing it, and give the eye time: self.wait(0.5) after each thought.
3. Begin with quality=low_quality and look at every thumbnail. Does nothing overlap or run out of the frame, can all
   texts be read? To look at another moment, end construct there and render with format=png. Mend it, then go on.
4. Render the final version with all_scenes=true in medium_quality or better; background=true if it may take more than a
   minute.
5. Tell the user the storyboard in short, and the URIs of the videos.""",
    ),
    Recipe(
        "analyse_data",
        "Analyse data",
        "Answer a question about a data set, step by step, with figures.",
        (
            Argument("data", "The data: a file of the workspace, or the data itself to be written to one."),
            Argument("question", "What is to be found out.", "What is remarkable about it?"),
        ),
        """\
Analyse this data: {data}
The question: {question}

Work in the sandbox, where variables stay from one execute call to the next:
1. Bring the data in (write_file, unless it is there: list_files) and load it into a DataFrame.
2. Look before you calculate: shape, types, missing values, a few rows, describe(). Say what you find odd.
3. Clean it in a new variable, and keep the original. If a step goes wrong, restore_checkpoint goes back.
4. Answer the question with figures (plt.show()) and numbers. Try alternatives in a fork_session, not over your data.
5. Write the resulting tables to artifacts/, such as artifacts/summary.csv.
6. Conclude in a few sentences: the answer, how sure it is, what was left out, and the URIs of the artifacts.""",
    ),
    Recipe(
        "web_app",
        "Make a web app",
        "Make an app in the sandbox, look at it, and give the user its address.",
        (
            Argument("what", "What it is to do, such as: show sales.csv as a table that can be filtered."),
            Argument("framework", "flask, streamlit, fastapi, dash or gradio.", "whichever of those there is and fits"),
        ),
        """\
Make a web app: {what}
The framework: {framework}

Work in the sandbox, in this order:
1. See which frameworks there are (get_execution_info). Streamlit is quickest for data, flask for pages of your own.
2. If it needs data, have them in files of the workspace: an app does not see the session's variables.
3. Try what it computes with execute first. Then write the whole app in one file, without anything from the internet (no
   fonts, scripts or styles of other sites): the app has no network, and the picture has none either.
4. start_web_app. Look at the picture: is everything there, can it be read? If the app fails, its log says where.
5. To change something, call start_web_app again with the same name: the address stays.
6. Tell the user the address, what to do there, and that the app runs until it is stopped or this server ends.""",
    ),
)


def filled(name: str, given: dict[str, str] | None) -> GetPromptResult:
    """A prompt by its name. Raises ToolError."""
    for one in PROMPTS:
        if one.name == name:
            return one.filled(given or {})
    raise ToolError(f"there is no prompt {name!r}; there are: {', '.join(one.name for one in PROMPTS)}")
