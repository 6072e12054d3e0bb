"""A confirmed student as a folder that ships: weights, ONNX with and without the front-end, int8, a model card."""
