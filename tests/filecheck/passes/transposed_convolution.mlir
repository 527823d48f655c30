// RUN: calocc-opt %s -p hoist-quantize,lower-to-fixed,canonicalize,dce,narrow-widths,partition-streams,fuse | filecheck %s

// A transposed convolution of stride 2 as the importer writes it: four phases are the filters of one
// convolution. The quantizer behind the shuffle joins the sums, so that three bits of a row wait in
// the buffer which sets the phases of its rows one below the other.

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: !dataflow.stream<tensor<2x2x1x!fixed.num<u2, 2>>, 1> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (!dataflow.stream<tensor<4x4x1x!fixed.num<u3, 2>>, 1> {calocc.name = "act", calocc.bound = 0.000000e+00 : f64}) {
// CHECK-NEXT:     %0 = dataflow.window %x {size = array<i64: 2, 1>, strides = array<i64: 1, 1>, padding = array<i64: 1, 0, 0, 0>, fill = 0 : i64, layer = "up"} : (!dataflow.stream<tensor<2x2x1x!fixed.num<u2, 2>>, 1>) -> !dataflow.stream<tensor<2x2x2x!fixed.num<u2, 2>>, 1>
// CHECK-NEXT:     %up = dataflow.matvec %0 {weights = #fixed.blob<ba02c0320673a2ad1 : tensor<2x4xi8>>, weight_type = !fixed.num<s3, 1>, layer = "up"} : (!dataflow.stream<tensor<2x2x2x!fixed.num<u2, 2>>, 1>) -> !dataflow.stream<tensor<2x2x4x!fixed.num<u3, 2>>, 1> {
// CHECK-NEXT:     ^bb0(%1: !fixed.num<s5, 3>):
// CHECK-NEXT:       %2 = fixed.constant <b27ecd0a598e76f8a : tensor<4xi8>> : !fixed.num<u1, -1>
// CHECK-NEXT:       %3 = fixed.add %1, %2 : (!fixed.num<s5, 3>, !fixed.num<u1, -1>) -> !fixed.num<s5, 3>
// CHECK-NEXT:       %4 = fixed.quantize %3 {rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>} : (!fixed.num<s5, 3>) -> !fixed.num<u3, 2>
// CHECK-NEXT:       fixed.yield %4 : !fixed.num<u3, 2>
// CHECK-NEXT:     }
// CHECK-NEXT:     %up_1 = dataflow.reshape %up {layer = "up"} : (!dataflow.stream<tensor<2x2x4x!fixed.num<u3, 2>>, 1>) -> !dataflow.stream<tensor<2x2x2x2x!fixed.num<u3, 2>>, 1>
// CHECK-NEXT:     %up_2 = dataflow.buffer %up_1 {permutation = array<i64: 0, 2, 1, 3>, layer = "up"} : (!dataflow.stream<tensor<2x2x2x2x!fixed.num<u3, 2>>, 1>) -> !dataflow.stream<tensor<2x2x2x2x!fixed.num<u3, 2>>, 1>
// CHECK-NEXT:     %up_3 = dataflow.reshape %up_2 {layer = "up"} : (!dataflow.stream<tensor<2x2x2x2x!fixed.num<u3, 2>>, 1>) -> !dataflow.stream<tensor<4x4x1x!fixed.num<u3, 2>>, 1>
// CHECK-NEXT:     func.return %up_3 : !dataflow.stream<tensor<4x4x1x!fixed.num<u3, 2>>, 1>
// CHECK-NEXT:   }
// CHECK-NEXT: }

builtin.module {
  func.func @main(%x: tensor<2x2x1xf32> {calocc.name = "x"}) -> (tensor<4x4x1xf32> {calocc.name = "act"}) {
    %q = qnn.quantize %x {quantizer = #qnn.quantizer<"quantized_relu(2,2)">, layer = "q"} : (tensor<2x2x1xf32>) -> tensor<2x2x1xf32>
    %up = qnn.constant <bb82fc7ce6bd14f7f : tensor<2x1x1x4xf64>> {layer = "up"} : tensor<2x1x1x4xf32>
    %up_1 = qnn.conv %q, %up {strides = array<i64: 1, 1>, padding = array<i64: 1, 0, 0, 0>, layer = "up"} : (tensor<2x2x1xf32>, tensor<2x1x1x4xf32>) -> tensor<2x2x4xf32>
    %up_2 = qnn.constant <b2c7ae7c331208ea6 : tensor<4xf32>> {layer = "up"} : tensor<4xf32>
    %up_3 = qnn.quantize %up_2 {quantizer = #qnn.quantizer<"quantized_bits(3,0,alpha=1.0)">, layer = "up"} : (tensor<4xf32>) -> tensor<4xf32>
    %up_4 = qnn.add %up_1, %up_3 {layer = "up"} : (tensor<2x2x4xf32>, tensor<4xf32>) -> tensor<2x2x4xf32>
    %up_5 = qnn.reshape %up_4 {layer = "up"} : (tensor<2x2x4xf32>) -> tensor<2x2x2x2xf32>
    %up_6 = qnn.transpose %up_5 {permutation = array<i64: 0, 2, 1, 3>, layer = "up"} : (tensor<2x2x2x2xf32>) -> tensor<2x2x2x2xf32>
    %up_7 = qnn.reshape %up_6 {layer = "up"} : (tensor<2x2x2x2xf32>) -> tensor<4x4x1xf32>
    %act = qnn.quantize %up_7 {quantizer = #qnn.quantizer<"quantized_relu(3,2)">, layer = "act"} : (tensor<4x4x1xf32>) -> tensor<4x4x1xf32>
    func.return %act : tensor<4x4x1xf32>
  }
}

{-#
  dialect_resources: {
    fixed: {
      b2c7ae7c331208ea6: "0x0000803e0000803e0000803e0000803e",bb82fc7ce6bd14f7f: "0x000000000000e03f000000000000e0bf00000000000000000000000000000000000000000000d03f000000000000e03f000000000000d0bf000000000000e83f"
    }
  }
#-}
