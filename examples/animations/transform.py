"""A square becomes a circle, and the circle a flower."""

from manim import *


class Transformation(Scene):
    def construct(self):
        title = Text("From square to flower", font_size=40).to_edge(UP)
        shape = Square(side_length=3, color=BLUE, fill_opacity=0.6)
        circle = Circle(radius=1.7, color=TEAL, fill_opacity=0.6)
        petals = VGroup(
            *(
                Ellipse(width=1.1, height=2.4, color=color, fill_opacity=0.6, stroke_width=2)
                .shift(UP * 1.1)
                .rotate(n * TAU / 8, about_point=ORIGIN)
                for n, color in enumerate(color_gradient([PINK, YELLOW], 8))
            )
        )
        self.play(Write(title), Create(shape))
        self.play(Transform(shape, circle))
        self.play(ReplacementTransform(shape, petals), run_time=1.5)
        self.play(Rotate(petals, PI / 4), run_time=1)
        self.wait(0.5)
