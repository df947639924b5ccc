"""Table of a network's layers, for terminals and notebooks."""

from html import escape

from skcnn.layers import Activation, BatchNormalization, Standardization


class Summary:
    """Table of a network's layers, their output shapes and their numbers of parameters.

    Its `repr` is the table as text; notebooks show it in HTML.

    Parameters
    ----------
    network : skcnn.network.Network

    Attributes
    ----------
    rows : list of tuple of (str, tuple of int, int)
        Layer, shape of one sample's output, and number of learnt parameters, from the images to the outputs.
    n_parameters : int
        Number of all learnt parameters, without the statistics of `batch_norm` and `standardize`.
    """

    def __init__(self, network):
        self.rows = layer_rows(network.layers)
        self.n_parameters = sum(n for *_, n in self.rows)

    def _cells(self):
        rows = [(what, " x ".join(map(str, shape)), f"{n:,}") for what, shape, n in self.rows]
        return [("layer", "output shape", "parameters"), *rows, ("all", "", f"{self.n_parameters:,}")]

    def __repr__(self):
        cells = self._cells()
        widths = [max(len(row[column]) for row in cells) for column in range(3)]
        lines = [f"{what:{widths[0]}}  {shape:{widths[1]}}  {n:>{widths[2]}}" for what, shape, n in cells]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join(lines)

    def _repr_html_(self):
        head, *body = (
            f"<tr><{tag}>{escape(what)}</{tag}><{tag}>{escape(shape)}</{tag}>"
            f'<{tag} style="text-align: right">{n}</{tag}></tr>'
            for (what, shape, n), tag in zip(self._cells(), ["th"] + ["td"] * (len(self.rows) + 1), strict=True)
        )
        return f"<table><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>"


def layer_rows(layers):
    """(label, output shape, number of learnt parameters) of the images and of each layer.

    Elementwise layers share the row of the layer before.
    """
    rows = [("images", layers[0].in_shape, 0)]
    for layer in layers:
        n_parameters = sum(parameter.size for parameter in layer.parameters if parameter.trained)
        if isinstance(layer, BatchNormalization | Activation | Standardization):
            what, _, n_before = rows.pop()
            rows.append((f"{what}, {layer.label}", layer.out_shape, n_before + n_parameters))
        else:
            rows.append((layer.label, layer.out_shape, n_parameters))
    return rows


def format_shapes(layers):
    """Output shapes as text, a line for each layer."""
    rows = layer_rows(layers)
    width = max(len(what) for what, *_ in rows)
    return "\n".join(f"  {what:{width}}  {' x '.join(map(str, shape))}" for what, shape, _ in rows)
