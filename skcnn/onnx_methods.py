"""The methods by which skl2onnx converts estimators that are not registered with it."""


class OnnxMethods:
    """Mixin for skl2onnx, which then converts a Pipeline, or a GridSearchCV over one, without registration."""

    def onnx_converter(self):
        """Return the function that adds the network to an ONNX graph; `skl2onnx.to_onnx` calls this.

        Returns
        -------
        converter : callable
            Takes skl2onnx's scope, operator and container.
        """
        from skcnn.export._onnx_converter import convert

        return convert

    def onnx_shape_calculator(self):
        """Return the function that sets the types and shapes of the outputs; `skl2onnx.to_onnx` calls this.

        Returns
        -------
        shape_calculator : callable
            Takes skl2onnx's operator.
        """
        from skcnn.export._onnx_converter import calculate_shapes

        return calculate_shapes
