# Generated from nbs/0_core/05_widgets.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import ipywidgets
from matplotlib.figure import Figure
from rabit.core.figures import show_curves
from rabit.core.tensors import RabitError
from rabit.core.widgets import bind_widgets
from rabit.core.widgets import draw_once
from rabit.core.widgets import explore
from rabit.core.widgets import make_panel
from rabit.core.widgets import make_widgets


def test_interact_hides_an_error():
    from unittest import mock
    def broken(k): raise ZeroDivisionError(f"no image for {k}")
    panel = ipywidgets.interactive(broken, k=(1, 3))
    # keeps the report out of this page
    with mock.patch("ipywidgets.widgets.interaction.get_ipython", lambda: None), mock.patch.object(
        panel.log, "warning"
    ):
        panel.update()
    assert panel.result is None and panel.kwargs == {"k": 2}


def test_widgets_follow_their_abbreviations_and_the_defaults_of_the_function():
    def draw(k=2, eps=.5, mode="soft", dense=False, n=7): pass
    widgets = make_widgets(draw, dict(k=(1, 9), eps=(0., 1., .01), mode=["hard", "soft"], dense=True,
                                      n=ipywidgets.IntText(5)))
    assert {name: widget.value for name, widget in widgets.items()} == dict(k=2, eps=.5, mode="soft", dense=True,
                                                                            n=5)
    assert (widgets["k"].min, widgets["k"].max, widgets["eps"].step,
            widgets["mode"].options) == (1, 9, .01, ("hard", "soft"))
    try: make_widgets(draw, dict(k=object()))
    except RabitError as error: assert "k=<object" in str(error)
    else: raise AssertionError("an object became a control")


def test_what_draws_with_pyplot_is_shown_once():
    import matplotlib.pyplot as plt
    before = plt.get_fignums()
    assert isinstance(draw_once(lambda k: plt.subplots()[1], dict(k=1)), Figure)
    try: draw_once(lambda k: plt.figure().add_axes(k), dict(k="nowhere"))
    except Exception: assert plt.get_fignums() == before
    else: raise AssertionError("axes were added nowhere")


def test_a_moved_widget_draws_again_and_an_error_is_told():
    def inverse(k): return show_curves({"1/k": [1 / k]}, title=f"k = {k}").figure
    widgets = make_widgets(inverse, dict(k=ipywidgets.IntSlider(2, -3, 3)))
    shown = []
    told = []
    bind_widgets(inverse, widgets, shown.append, told.append)
    widgets["k"].value = 3
    assert len(shown) == 1 and shown[0].axes[0].get_title() == "k = 3" and told == [""]
    widgets["k"].value = 0
    assert len(shown) == 1 and told[-1].startswith("ZeroDivisionError")
    widgets["k"].value = 1
    assert len(shown) == 2 and told[-1] == ""


def test_a_button_acts_and_its_error_is_told():
    done = []
    panel, report_error = make_panel([ipywidgets.IntSlider()],
                                     {"go": lambda: done.append(1), "<fail>": lambda: [][0],
                                      "tell": lambda: "went"})
    go, fail, tell = panel.children[1].children
    fail.click()
    assert "IndexError" in panel.children[-1].value and not done
    go.click()
    assert done == [1] and panel.children[-1].value == ""
    tell.click()
    assert "went" in panel.children[-1].value
    report_error("a < b")
    assert "a &lt; b" in panel.children[-1].value
    assert len(make_panel([ipywidgets.IntSlider()])[0].children) == 2              # no buttons, no empty row


def test_explore_draws_once_plainly_and_again_for_each_change():
    calls = []
    def counted(k):
        calls.append(k)
        return show_curves({"k": [0, k]}, title=f"k = {k}", size=(2, 1.2))
    slider = ipywidgets.IntSlider(2, 1, 5)
    explore(counted, k=slider)
    assert calls == [2]
    slider.value = 4
    assert calls == [2, 4]


def test_explore_fails_where_the_first_image_fails():
    def broken(k): raise ZeroDivisionError(f"no image for {k}")
    for draw, wanted in ((broken, ZeroDivisionError), (lambda k: None, RabitError)):
        try: explore(draw, k=(1, 3))
        except wanted as error: print(type(error).__name__, error)
        else: raise AssertionError("an explore without an image passed")


def test_outside_a_notebook_nothing_is_redrawn():
    import rabit.core.widgets
    there = rabit.core.widgets._in_notebook
    rabit.core.widgets._in_notebook = lambda: False
    try: assert rabit.core.widgets.redraw()("no figure at all") is None
    finally: rabit.core.widgets._in_notebook = there
