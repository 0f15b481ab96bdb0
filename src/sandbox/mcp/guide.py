"""What a model is told about the server as a whole: a few lines always, the rest when it asks."""

from __future__ import annotations

INSTRUCTIONS = """\
An isolated computer for Python and shell. Your session keeps variables, files and history between calls, and \
after a restart; every execution is a checkpoint that can be gone back to. Start with execute. Files below \
artifacts/ and figures that are shown come back as artifacts with sandbox:// URIs. There is normally no network, \
and nothing of the user's machine is visible. Work of more than a minute: start_job, then job. Pages and \
apps for the user's browser: start_web_app. The resource sandbox://overview says more."""

OVERVIEW = """\
# The sandbox

Code runs in an isolated session: its own processes, files and limits, without the user's files and normally without a
network. Nothing that happens inside can harm the user's machine, so try things out.

## Which tool

| to | use |
|---|---|
| calculate, analyse, plot | `execute`: Python that keeps its variables |
| run a program | `shell_execute`: one line of /bin/sh, same files |
| explain something with an animation | `create_manim_animation`: a video with a thumbnail |
| work for more than a minute | `start_job`, then `job` |
| serve a page, an app or an API | `start_web_app`, `stop_web_app` |
| bring a file in, read one, look around | `write_file`, `read_file`, `list_files` |
| see what was produced, tidy up | `list_artifacts`, `cleanup_artifacts` |
| see what happened and which variables there are | `session_timeline` |
| undo | `restore_checkpoint` |
| try something beside it | `fork_session` |
| know packages, limits, isolation | `get_execution_info` |

## Sessions

Leave out `session_id` and you have a session of your own, which a restarted server goes on with; the first answer says
so if there is something from before. Another `session_id` is another session, with variables and files of its own. When
the code kills its process (a crash, too much memory) the next call finds the variables of the execution before.
What Python cannot store, such as threads, connections and generators that have begun, is named in `lost_names`.

## Files

The current directory is the workspace; it is stored with the session. What is written below `artifacts/`, and every
figure that is shown, is an artifact: a copy that stays as it was, with a URI
`sandbox://artifacts/SESSION/EXECUTION/NAME` that `read_file` and clients read. `/tmp` is gone after a restart.

## Plots

```python
import matplotlib.pyplot as plt
plt.plot([1, 4, 9])
plt.show()
```

The figure is in the answer as an image. plotly and altair work the same way.

## Animations

```python
from manim import *

class Areas(Scene):
    def construct(self):
        square = Square(color=BLUE, fill_opacity=0.5)
        label = MathTypst("a^2").next_to(square, UP)
        self.play(Create(square), Write(label))
        self.play(square.animate.scale(1.5))
        self.wait()
```

That is the code of `create_manim_animation`: Manim Community, one class for each scene. Look at the thumbnail at
low_quality first. Text and MathTypst (formulas in the syntax of Typst) always work, MathTex only where there is LaTeX.

## Web apps

```python
from flask import Flask
app = Flask(__name__)

@app.route("/")
def page():
    return "<h1>hello</h1>"
```

Give that to `start_web_app` as `code`. The answer has the address for the user's browser, a picture of the page and the
URI of the log, which `read_file` reads as it is then. The same `name` again replaces the app; files beside it, such as
templates and data, are those of the workspace. An app has no variables of the session, and runs as long as the server.

## When something fails

Answers name the cause and what to change. A traceback leaves the variables as they were at that point. `timeout` means
the code was stopped and the variables stay: use `start_job`. `memory` means the process was ended: work in parts.
`denied` means that the isolation refused it; another way of doing the same will be refused too.
"""
