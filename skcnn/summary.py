"""A network's layers as a table, for terminals and notebooks."""

from html import escape

from skcnn.layers import layer_rows


class Summary:
    """A network's layers, what each hands on, and how many parameters it has.

    It shows itself as a table: where an expression's value is printed, by `print`, and in notebooks.

    Parameters
    ----------
    network : skcnn.network.Network

    Attributes
    ----------
    rows : list of tuple of (str, tuple of int, int)
        What it is, the shape of one sample's output, and the number of parameters; from the images to the outputs.
    n_parameters : int
        Of them all, the running averages of `standardize` not counted.
    """

    def __init__(self, network):
        self.rows = layer_rows(network.layers, activation=network.activation, with_intercepts=network.fit_intercept)
        n_weights = network.n_outputs * (network.n_hidden + network.fit_intercept)
        standardized = ", standardized" if network.standardize else ""
        self.rows.append((f"dense{standardized}, sigmoid", (network.n_outputs,), n_weights))
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
