"""Trained models as other programs read them: each format is a file, registered by one line here."""

from latentcli.core.registry import Registry

FORMATS = Registry(
    "export format",
    {
        "onnx": "latentcli.exports.onnx_graphs:OnnxGraphs",
        "safetensors": "latentcli.exports.safetensors_weights:SafetensorsWeights",
        "torch-export": "latentcli.exports.torch_programs:TorchPrograms",
    },
)
