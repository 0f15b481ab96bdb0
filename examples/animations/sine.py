"""A point on a circle draws a sine wave."""

from manim import *


class Sine(Scene):
    def construct(self):
        angle = ValueTracker(0.0)
        circle = Circle(radius=1.5, color=BLUE).shift(LEFT * 4.5)
        axes = Axes(x_range=[0, TAU, PI / 2], y_range=[-1, 1], x_length=7.5, y_length=3, tips=False).shift(RIGHT * 2)
        point = always_redraw(lambda: Dot(circle.point_at_angle(angle.get_value()), color=YELLOW))
        radius = always_redraw(lambda: Line(circle.get_center(), point.get_center(), color=YELLOW))
        wave = always_redraw(lambda: axes.plot(np.sin, x_range=[0, max(angle.get_value(), 0.01), 0.05], color=YELLOW))
        link = always_redraw(
            lambda: DashedLine(
                point.get_center(), axes.c2p(angle.get_value(), np.sin(angle.get_value())), stroke_width=2
            )
        )
        self.play(Create(circle), Create(axes))
        self.add(radius, point, wave, link)
        self.play(angle.animate.set_value(TAU), run_time=3, rate_func=linear)
        self.wait(0.3)
