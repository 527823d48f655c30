// RUN: calocc-opt %s | calocc-opt | filecheck %s

// Every layer in its pretty form, on reals and on fixed-point numbers.

func.func @reals(%x: tensor<4x4x2xf32>, %v: tensor<3xf32>) -> tensor<3xf32> {
  %w = qnn.constant <bb0d9525cfed2609b : tensor<2x1x2x1xf32>> : tensor<2x1x2x1xf32>
  %q = qnn.quantize %w {quantizer = #qnn.quantizer<"quantized_bits(4,1,alpha=1.0)">} : (tensor<2x1x2x1xf32>) -> tensor<2x1x2x1xf32>
  %t = qnn.quantize %w {quantizer = #qnn.quantizer<"hls_table(18,8,function='tanh')">} : (tensor<2x1x2x1xf32>) -> tensor<2x1x2x1xf32>
  %c = qnn.conv %x, %q {strides = array<i64: 2, 1>, padding = array<i64: 0, 1, 0, 0>, layer = "conv"} : (tensor<4x4x2xf32>, tensor<2x1x2x1xf32>) -> tensor<2x4x1xf32>
  %p = qnn.pool %c {kind = #qnn<pooling sum>, size = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<2x4x1xf32>) -> tensor<1x2x1xf32>
  %g = qnn.constant <b8e628779e6a74ee0 : tensor<3xf32>> : tensor<3xf32>
  %b = qnn.batch_norm %v, %g, %g, %g, %g {epsilon = 1.000000e-03 : f64} : (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  %f = qnn.function "tanh" %b : (tensor<3xf32>) -> tensor<3xf32>
  %s = qnn.softmax %f : (tensor<3xf32>) -> tensor<3xf32>
  func.return %s : tensor<3xf32>
}

func.func @fixed(%x: tensor<4x4x2x!fixed.num<s8, 3>>, %v: tensor<2x!fixed.num<u4, 2>>) {
  %w = qnn.constant <bf6eccb246afe699a : tensor<2x3xi8>> : tensor<2x3x!fixed.num<s3, 1>>
  %dense = qnn.dense %v, %w {layer = "dense"} : (tensor<2x!fixed.num<u4, 2>>, tensor<2x3x!fixed.num<s3, 1>>) -> tensor<3x!fixed.num<s8, 4>>
  %sum = qnn.add %v, %v : (tensor<2x!fixed.num<u4, 2>>, tensor<2x!fixed.num<u4, 2>>) -> tensor<2x!fixed.num<u5, 3>>
  %difference = qnn.sub %v, %v : (tensor<2x!fixed.num<u4, 2>>, tensor<2x!fixed.num<u4, 2>>) -> tensor<2x!fixed.num<s5, 3>>
  %product = qnn.mul %v, %v : (tensor<2x!fixed.num<u4, 2>>, tensor<2x!fixed.num<u4, 2>>) -> tensor<2x!fixed.num<u8, 4>>
  %most = qnn.max %v, %sum : (tensor<2x!fixed.num<u4, 2>>, tensor<2x!fixed.num<u5, 3>>) -> tensor<2x!fixed.num<u5, 3>>
  %least = qnn.min %v, %sum : (tensor<2x!fixed.num<u4, 2>>, tensor<2x!fixed.num<u5, 3>>) -> tensor<2x!fixed.num<u4, 2>>
  %kernels = qnn.constant <bbaa281679175c956 : tensor<2x2x2x2xi8>> : tensor<2x2x2x2x!fixed.num<s4, 4>>
  %apart = qnn.depthwise %x, %kernels {strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<4x4x2x!fixed.num<s8, 3>>, tensor<2x2x2x2x!fixed.num<s4, 4>>) -> tensor<2x2x4x!fixed.num<s14, 9>>
  %relu = qnn.relu %x : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<4x4x2x!fixed.num<u7, 2>>
  %zero = qnn.is_zero %v : (tensor<2x!fixed.num<u4, 2>>) -> tensor<2x!fixed.num<u1, 1>>
  %s = qnn.constant <b67df21b268fabeed : tensor<2xi8>> : tensor<2x!fixed.num<u4, 2>>
  %line = qnn.affine %x, %s, %s : (tensor<4x4x2x!fixed.num<s8, 3>>, tensor<2x!fixed.num<u4, 2>>, tensor<2x!fixed.num<u4, 2>>) -> tensor<4x4x2x!fixed.num<s13, 6>>
  func.return
}

func.func @movement(%x: tensor<4x4x2x!fixed.num<s8, 3>>, %v: tensor<2x!fixed.num<u4, 2>>) {
  %slope = qnn.constant <b4bf5122f344554c5 : tensor<1xi8>> : tensor<1x!fixed.num<u2, 0>>
  %leaky = qnn.leaky_relu %x, %slope : (tensor<4x4x2x!fixed.num<s8, 3>>, tensor<1x!fixed.num<u2, 0>>) -> tensor<4x4x2x!fixed.num<s10, 3>>
  %gate = qnn.gate %x, %slope, %slope : (tensor<4x4x2x!fixed.num<s8, 3>>, tensor<1x!fixed.num<u2, 0>>, tensor<1x!fixed.num<u2, 0>>) -> tensor<4x4x2x!fixed.num<s11, 4>>
  %cast = qnn.quantize %x {rounding = #fixed<rounding trn>, overflow = #fixed<overflow wrap>} : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<4x4x2x!fixed.num<s4, 2>>
  %steps = qnn.threshold %x {thresholds = #fixed.blob<b5b06e511f2eeebea : tensor<2x3xi8>>, base = -1 : i64} : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<4x4x2x!fixed.num<s3, 3>>
  %table = qnn.lookup %v {table = #fixed.blob<ba395b57419a0e470 : tensor<16xi8>>, origin = 0 : i64} : (tensor<2x!fixed.num<u4, 2>>) -> tensor<2x!fixed.num<u5, 3>>
  %softmax = qnn.softmax %v {table = #fixed.blob<bdd4a10a158223392 : tensor<3xi8>>} : (tensor<2x!fixed.num<u4, 2>>) -> tensor<2x!fixed.num<u16, 0>>
  %flat = qnn.reshape %x : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<32x!fixed.num<s8, 3>>
  %turned = qnn.transpose %x {permutation = array<i64: 2, 0, 1>} : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<2x4x4x!fixed.num<s8, 3>>
  %padded = qnn.pad %x {padding = array<i64: 1, 0, 0, 2>} : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<5x6x2x!fixed.num<s8, 3>>
  %large = qnn.upsample %x {factors = array<i64: 2, 1>} : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<8x4x2x!fixed.num<s8, 3>>
  %both = qnn.concat %v, %v {axis = 0 : i64} : (tensor<2x!fixed.num<u4, 2>>, tensor<2x!fixed.num<u4, 2>>) -> tensor<4x!fixed.num<u4, 2>>
  %some = qnn.slice %x {axis = 1 : i64, start = 1 : i64, stop = 3 : i64} : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<4x2x2x!fixed.num<s8, 3>>
  %max = qnn.pool %x {kind = #qnn<pooling max>, size = array<i64: 4, 4>, strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>} : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<1x1x2x!fixed.num<s8, 3>>
  func.return
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @reals(%x: tensor<4x4x2xf32>, %v: tensor<3xf32>) -> tensor<3xf32> {
// CHECK-NEXT:     %w = qnn.constant <bb0d9525cfed2609b : tensor<2x1x2x1xf32>> : tensor<2x1x2x1xf32>
// CHECK-NEXT:     %q = qnn.quantize %w {quantizer = #qnn.quantizer<"quantized_bits(4,1,alpha=1.0)">} : (tensor<2x1x2x1xf32>) -> tensor<2x1x2x1xf32>
// CHECK-NEXT:     %t = qnn.quantize %w {quantizer = #qnn.quantizer<"hls_table(18,8,function='tanh')">} : (tensor<2x1x2x1xf32>) -> tensor<2x1x2x1xf32>
// CHECK-NEXT:     %c = qnn.conv %x, %q {strides = array<i64: 2, 1>, padding = array<i64: 0, 1, 0, 0>, layer = "conv"} : (tensor<4x4x2xf32>, tensor<2x1x2x1xf32>) -> tensor<2x4x1xf32>
// CHECK-NEXT:     %p = qnn.pool %c {kind = #qnn<pooling sum>, size = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<2x4x1xf32>) -> tensor<1x2x1xf32>
// CHECK-NEXT:     %g = qnn.constant <b8e628779e6a74ee0 : tensor<3xf32>> : tensor<3xf32>
// CHECK-NEXT:     %b = qnn.batch_norm %v, %g, %g, %g, %g {epsilon = 1.000000e-03 : f64} : (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
// CHECK-NEXT:     %f = qnn.function "tanh" %b : (tensor<3xf32>) -> tensor<3xf32>
// CHECK-NEXT:     %s = qnn.softmax %f : (tensor<3xf32>) -> tensor<3xf32>
// CHECK-NEXT:     func.return %s : tensor<3xf32>
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @fixed(%x: tensor<4x4x2x!fixed.num<s8, 3>>, %v: tensor<2x!fixed.num<u4, 2>>) {
// CHECK-NEXT:     %w = qnn.constant <bf6eccb246afe699a : tensor<2x3xi8>> : tensor<2x3x!fixed.num<s3, 1>>
// CHECK-NEXT:     %dense = qnn.dense %v, %w {layer = "dense"} : (tensor<2x!fixed.num<u4, 2>>, tensor<2x3x!fixed.num<s3, 1>>) -> tensor<3x!fixed.num<s8, 4>>
// CHECK-NEXT:     %sum = qnn.add %v, %v : (tensor<2x!fixed.num<u4, 2>>, tensor<2x!fixed.num<u4, 2>>) -> tensor<2x!fixed.num<u5, 3>>
// CHECK-NEXT:     %difference = qnn.sub %v, %v : (tensor<2x!fixed.num<u4, 2>>, tensor<2x!fixed.num<u4, 2>>) -> tensor<2x!fixed.num<s5, 3>>
// CHECK-NEXT:     %product = qnn.mul %v, %v : (tensor<2x!fixed.num<u4, 2>>, tensor<2x!fixed.num<u4, 2>>) -> tensor<2x!fixed.num<u8, 4>>
// CHECK-NEXT:     %most = qnn.max %v, %sum : (tensor<2x!fixed.num<u4, 2>>, tensor<2x!fixed.num<u5, 3>>) -> tensor<2x!fixed.num<u5, 3>>
// CHECK-NEXT:     %least = qnn.min %v, %sum : (tensor<2x!fixed.num<u4, 2>>, tensor<2x!fixed.num<u5, 3>>) -> tensor<2x!fixed.num<u4, 2>>
// CHECK-NEXT:     %kernels = qnn.constant <bbaa281679175c956 : tensor<2x2x2x2xi8>> : tensor<2x2x2x2x!fixed.num<s4, 4>>
// CHECK-NEXT:     %apart = qnn.depthwise %x, %kernels {strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<4x4x2x!fixed.num<s8, 3>>, tensor<2x2x2x2x!fixed.num<s4, 4>>) -> tensor<2x2x4x!fixed.num<s14, 9>>
// CHECK-NEXT:     %relu = qnn.relu %x : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<4x4x2x!fixed.num<u7, 2>>
// CHECK-NEXT:     %zero = qnn.is_zero %v : (tensor<2x!fixed.num<u4, 2>>) -> tensor<2x!fixed.num<u1, 1>>
// CHECK-NEXT:     %s = qnn.constant <b67df21b268fabeed : tensor<2xi8>> : tensor<2x!fixed.num<u4, 2>>
// CHECK-NEXT:     %line = qnn.affine %x, %s, %s : (tensor<4x4x2x!fixed.num<s8, 3>>, tensor<2x!fixed.num<u4, 2>>, tensor<2x!fixed.num<u4, 2>>) -> tensor<4x4x2x!fixed.num<s13, 6>>
// CHECK-NEXT:     func.return
// CHECK-NEXT:   }
// CHECK-NEXT:   func.func @movement(%x: tensor<4x4x2x!fixed.num<s8, 3>>, %v: tensor<2x!fixed.num<u4, 2>>) {
// CHECK-NEXT:     %slope = qnn.constant <b4bf5122f344554c5 : tensor<1xi8>> : tensor<1x!fixed.num<u2, 0>>
// CHECK-NEXT:     %leaky = qnn.leaky_relu %x, %slope : (tensor<4x4x2x!fixed.num<s8, 3>>, tensor<1x!fixed.num<u2, 0>>) -> tensor<4x4x2x!fixed.num<s10, 3>>
// CHECK-NEXT:     %gate = qnn.gate %x, %slope, %slope : (tensor<4x4x2x!fixed.num<s8, 3>>, tensor<1x!fixed.num<u2, 0>>, tensor<1x!fixed.num<u2, 0>>) -> tensor<4x4x2x!fixed.num<s11, 4>>
// CHECK-NEXT:     %cast = qnn.quantize %x {rounding = #fixed<rounding trn>, overflow = #fixed<overflow wrap>} : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<4x4x2x!fixed.num<s4, 2>>
// CHECK-NEXT:     %steps = qnn.threshold %x {thresholds = #fixed.blob<b5b06e511f2eeebea : tensor<2x3xi8>>, base = -1 : i64} : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<4x4x2x!fixed.num<s3, 3>>
// CHECK-NEXT:     %table = qnn.lookup %v {table = #fixed.blob<ba395b57419a0e470 : tensor<16xi8>>, origin = 0 : i64} : (tensor<2x!fixed.num<u4, 2>>) -> tensor<2x!fixed.num<u5, 3>>
// CHECK-NEXT:     %softmax = qnn.softmax %v {table = #fixed.blob<bdd4a10a158223392 : tensor<3xi8>>} : (tensor<2x!fixed.num<u4, 2>>) -> tensor<2x!fixed.num<u16, 0>>
// CHECK-NEXT:     %flat = qnn.reshape %x : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<32x!fixed.num<s8, 3>>
// CHECK-NEXT:     %turned = qnn.transpose %x {permutation = array<i64: 2, 0, 1>} : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<2x4x4x!fixed.num<s8, 3>>
// CHECK-NEXT:     %padded = qnn.pad %x {padding = array<i64: 1, 0, 0, 2>} : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<5x6x2x!fixed.num<s8, 3>>
// CHECK-NEXT:     %large = qnn.upsample %x {factors = array<i64: 2, 1>} : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<8x4x2x!fixed.num<s8, 3>>
// CHECK-NEXT:     %both = qnn.concat %v, %v {axis = 0 : i64} : (tensor<2x!fixed.num<u4, 2>>, tensor<2x!fixed.num<u4, 2>>) -> tensor<4x!fixed.num<u4, 2>>
// CHECK-NEXT:     %some = qnn.slice %x {axis = 1 : i64, start = 1 : i64, stop = 3 : i64} : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<4x2x2x!fixed.num<s8, 3>>
// CHECK-NEXT:     %max = qnn.pool %x {kind = #qnn<pooling max>, size = array<i64: 4, 4>, strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>} : (tensor<4x4x2x!fixed.num<s8, 3>>) -> tensor<1x1x2x!fixed.num<s8, 3>>
// CHECK-NEXT:     func.return
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      bb0d9525cfed2609b: "0x0000803f00000040000040400000003f",
      b8e628779e6a74ee0: "0x0000803f0000004000004040",
      bf6eccb246afe699a: "0x010203fffefd",
      bbaa281679175c956: "0xf8f9fafbfcfdfeff0001020304050607",
      b67df21b268fabeed: "0x0305",
      b4bf5122f344554c5: "0x01",
      b5b06e511f2eeebea: "0xfc0009010203",
      ba395b57419a0e470: "0x00020406080a0c0e10121416181a1c1e",
      bdd4a10a158223392: "0x64250e"
    }
  }
#-}
