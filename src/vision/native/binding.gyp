{
  "targets": [
    {
      "target_name": "jpeg_decoder",
      "sources": [
        "addon.cc", "axis.cc", "baseline-rows.cc", "code-reader.cc", "decode.cc", "frame.cc", "jpeg-rows.cc",
        "picture-math.cc", "resampler.cc", "scan-bits.cc", "vips.cc", "weighing.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_CPP_EXCEPTIONS"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti"],
      # Weights are rounded as Pillow's are: no product and sum at once.
      "cflags_cc": ["-ffp-contract=off"],
      "conditions": [
        ["OS=='mac'", {
          "xcode_settings": {
            "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
            "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
            "OTHER_CPLUSPLUSFLAGS": ["-ffp-contract=off"]
          }
        }],
        ["OS=='win'", {
          "defines": ["NOMINMAX", "_HAS_EXCEPTIONS=1"],
          "msvs_settings": { "VCCLCompilerTool": { "ExceptionHandling": 1 } }
        }]
      ]
    }
  ]
}
