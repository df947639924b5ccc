"""What skl2onnx asks an estimator for that it knows nothing of."""


class OnnxMethods:
    """skl2onnx's two methods: by them, it converts a Pipeline or a GridSearchCV without any registration."""

    def onnx_converter(self):
        """What adds the network to an ONNX graph: for `skl2onnx.to_onnx`, which calls it.

        Returns
        -------
        converter : callable
            Takes skl2onnx's (scope, operator, container).
        """
        from skcnn.export._onnx_converter import convert

        return convert

    def onnx_shape_calculator(self):
        """What tells types and shapes of the outputs: for `skl2onnx.to_onnx`, which calls it.

        Returns
        -------
        shape_calculator : callable
            Takes skl2onnx's operator.
        """
        from skcnn.export._onnx_converter import calculate_shapes

        return calculate_shapes
