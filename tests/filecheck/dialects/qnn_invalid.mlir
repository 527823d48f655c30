// RUN: calocc-opt %s --split-input-file --verify-diagnostics --parsing-diagnostics | filecheck %s

// What the qnn dialect refuses.

// The arrays of all parts.
func.func private @arrays() -> ()

{-#
  dialect_resources: {
    fixed: {
      b0ce3940bebf2b22a: "0x0304",
      bd99e58435243d9fe: "0x0000003f",
      b039058c6f2c0cb49: "0x010203",
      bdd4a10a158223392: "0x64250e",
      bba96ea1c430c4010: "0x00250e"
    }
  }
#-}

// -----

%x = "test.op"() : () -> tensor<4xf64>
%y = qnn.relu %x : (tensor<4xf64>) -> tensor<4xf64>
// CHECK: elements are f32 or !fixed.num, not tensor<4xf64>

// -----

%x, %z = "test.op"() : () -> (tensor<4xf32>, tensor<4x!fixed.num<s8, 3>>)
%y = qnn.add %x, %z : (tensor<4xf32>, tensor<4x!fixed.num<s8, 3>>) -> tensor<4xf32>
// CHECK: qnn.add mixes reals and fixed-point numbers

// -----

%x = "test.op"() : () -> tensor<4xf32>
%y = qnn.relu %x : (tensor<4xf32>) -> tensor<5xf32>
// CHECK: result shape (5,), expected (4,)

// -----

%x = "test.op"() : () -> tensor<4xf32>
%y = qnn.relu %x, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
// CHECK: qnn.relu takes 1 operands

// -----

%x, %z = "test.op"() : () -> (tensor<4xf32>, tensor<3xf32>)
%y = qnn.add %x, %z : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
// CHECK: shapes ((4,), (3,)) do not broadcast

// -----

// The batch axis of %z would meet an axis of %x.
func.func @computed(%x: tensor<2x2x4xf32>, %z: tensor<4xf32>) {
  %y = qnn.mul %x, %z : (tensor<2x2x4xf32>, tensor<4xf32>) -> tensor<2x2x4xf32>
  func.return
}
// CHECK: a computed operand (4,) has fewer axes than (2, 2, 4)

// -----

%x, %w = "test.op"() : () -> (tensor<4xf32>, tensor<3x2xf32>)
%y = qnn.dense %x, %w : (tensor<4xf32>, tensor<3x2xf32>) -> tensor<2xf32>
// CHECK: cannot multiply (4,) with weights (3, 2)

// -----

%x, %w = "test.op"() : () -> (tensor<4x4x2xf32>, tensor<2x2x1x3xf32>)
%y = qnn.conv %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>} : (tensor<4x4x2xf32>, tensor<2x2x1x3xf32>) -> tensor<3x3x3xf32>
// CHECK: kernels (2, 2, 1, 3) do not fit an image (4, 4, 2)

// -----

%x, %w = "test.op"() : () -> (tensor<1x4x2xf32>, tensor<2x2x2x3xf32>)
%y = qnn.conv %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x4x2xf32>, tensor<2x2x2x3xf32>) -> tensor<1x3x3xf32>
// CHECK: the image (1, 4, 2) is smaller than the window

// -----

%x, %w = "test.op"() : () -> (tensor<4x4x2xf32>, tensor<2x2x2x3xf32>)
%y = qnn.conv %x, %w {strides = array<i64: 1, 0>, padding = array<i64: 0, 0, 0, 0>} : (tensor<4x4x2xf32>, tensor<2x2x2x3xf32>) -> tensor<3x3x3xf32>
// CHECK: a window of size (2, 2) cannot move by (1, 0)

// -----

%x, %w = "test.op"() : () -> (tensor<4x4x2xf32>, tensor<2x2x2x3xf32>)
%y = qnn.conv %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 1, 1>} : (tensor<4x4x2xf32>, tensor<2x2x2x3xf32>) -> tensor<3x3x3xf32>
// CHECK: padding is (top, bottom, left, right), not (1, 1)

// -----

%x = "test.op"() : () -> tensor<4x4xf32>
%y = qnn.pool %x {kind = #qnn<pooling max>, size = array<i64: 2, 2>, strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>} : (tensor<4x4xf32>) -> tensor<3x3xf32>
// CHECK: an image has three axes (H, W, C), not (4, 4)

// -----

%x = "test.op"() : () -> tensor<4x4x1x!fixed.num<s8, 3>>
%y = qnn.pool %x {kind = #qnn<pooling max>, size = array<i64: 4, 4>, strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>} : (tensor<4x4x1x!fixed.num<s8, 3>>) -> tensor<1x1x1x!fixed.num<s9, 3>>
// CHECK: a maximum has the element type of its operand

// -----

%x = "test.op"() : () -> tensor<4x4x1xf32>
%y = qnn.pool %x {kind = #qnn<pooling max>, size = array<i64: 2, 4>, strides = array<i64: 1, 1>, padding = array<i64: 2, 0, 0, 0>} : (tensor<4x4x1xf32>) -> tensor<5x1x1xf32>
// CHECK: there is a window with padding only, which has no maximum

// -----

%x = "test.op"() : () -> tensor<4xf32>
%y = qnn.quantize %x {quantizer = #qnn.quantizer<"quantized_bits(4,1,alpha=1.0)">, rounding = #fixed<rounding rnd>} : (tensor<4xf32>) -> tensor<4xf32>
// CHECK: reals take a quantizer, fixed-point numbers take rounding and overflow

// -----

%x = "test.op"() : () -> tensor<4x!fixed.num<s8, 3>>
%y = qnn.quantize %x {rounding = #fixed<rounding rnd>} : (tensor<4x!fixed.num<s8, 3>>) -> tensor<4x!fixed.num<s8, 3>>
// CHECK: reals take a quantizer, fixed-point numbers take rounding and overflow

// -----

"test.op"() {value = #qnn.quantizer<"quantized_bytes(4)">} : () -> ()
// CHECK: quantized_bytes

// -----

%w = qnn.constant <b0ce3940bebf2b22a : tensor<2xi8>> : tensor<2x!fixed.num<u2, 2>>
// CHECK: ufixed<2,2> does not hold 3 to 4

// -----

%w = qnn.constant <bd99e58435243d9fe : tensor<1xf32>> : tensor<1x!fixed.num<u2, 2>>
// CHECK: mantissas are integers

// -----

%w = qnn.constant <b0ce3940bebf2b22a : tensor<2xi8>> : tensor<3x!fixed.num<u4, 4>>
// CHECK: result shape (3,), expected (2,)

// -----

%x, %w = "test.op"() : () -> (tensor<2x3xf32>, tensor<2xf32>)
%y = qnn.batch_norm %x, %w, %w, %w, %w {epsilon = 1.000000e-03 : f64} : (tensor<2x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<2x3xf32>
// CHECK: are not one value per channel of (2, 3)

// -----

%x = "test.op"() : () -> tensor<2x!fixed.num<u4, 4>>
%y = qnn.batch_norm %x, %x, %x, %x, %x {epsilon = 1.000000e-03 : f64} : (tensor<2x!fixed.num<u4, 4>>, tensor<2x!fixed.num<u4, 4>>, tensor<2x!fixed.num<u4, 4>>, tensor<2x!fixed.num<u4, 4>>, tensor<2x!fixed.num<u4, 4>>) -> tensor<2x!fixed.num<u4, 4>>
// CHECK: qnn.batch_norm has no meaning on fixed-point numbers

// -----

%x = "test.op"() : () -> tensor<2xf32>
%y = qnn.function "step" %x : (tensor<2xf32>) -> tensor<2xf32>
// CHECK: unknown function 'step'

// -----

%x = "test.op"() : () -> tensor<2x!fixed.num<u4, 4>>
%y = qnn.function "tanh" %x : (tensor<2x!fixed.num<u4, 4>>) -> tensor<2x!fixed.num<u4, 4>>
// CHECK: qnn.function has no meaning on fixed-point numbers

// -----

%x = "test.op"() : () -> tensor<2xf32>
%y = qnn.threshold %x {thresholds = #fixed.blob<b039058c6f2c0cb49 : tensor<1x3xi8>>, base = 0 : i64} : (tensor<2xf32>) -> tensor<2xf32>
// CHECK: qnn.threshold has no meaning on reals

// -----

%x = "test.op"() : () -> tensor<2x!fixed.num<u4, 4>>
%y = qnn.threshold %x {thresholds = #fixed.blob<b039058c6f2c0cb49 : tensor<3x1xi8>>, base = 0 : i64} : (tensor<2x!fixed.num<u4, 4>>) -> tensor<2x!fixed.num<u2, 2>>
// CHECK: thresholds (3, 1) are not one row, or one per channel

// -----

%x = "test.op"() : () -> tensor<2x!fixed.num<u4, 4>>
%y = qnn.threshold %x {thresholds = #fixed.blob<b039058c6f2c0cb49 : tensor<1x3xi8>>, base = 1 : i64} : (tensor<2x!fixed.num<u4, 4>>) -> tensor<2x!fixed.num<u2, 2>>
// CHECK: ufixed<2,2> does not hold the levels from 1

// -----

%x = "test.op"() : () -> tensor<2x!fixed.num<u4, 4>>
%y = qnn.lookup %x {table = #fixed.blob<b039058c6f2c0cb49 : tensor<1x3xi8>>, origin = 0 : i64} : (tensor<2x!fixed.num<u4, 4>>) -> tensor<2x!fixed.num<u2, 2>>
// CHECK: a table (1, 3) for 2 channels

// -----

%x = "test.op"() : () -> tensor<2x!fixed.num<u4, 4>>
%y = qnn.softmax %x : (tensor<2x!fixed.num<u4, 4>>) -> tensor<2x!fixed.num<u2, 0>>
// CHECK: softmax takes a table on fixed-point numbers, and only there

// -----

%x = "test.op"() : () -> tensor<2x!fixed.num<u4, 4>>
%y = qnn.softmax %x {table = #fixed.blob<bdd4a10a158223392 : tensor<3xi8>>} : (tensor<2x!fixed.num<u4, 4>>) -> tensor<2x!fixed.num<s2, 0>>
// CHECK: softmax yields unsigned fractions

// -----

%x = "test.op"() : () -> tensor<2x!fixed.num<u4, 4>>
%y = qnn.softmax %x {table = #fixed.blob<bba96ea1c430c4010 : tensor<3xi8>>} : (tensor<2x!fixed.num<u4, 4>>) -> tensor<2x!fixed.num<u2, 0>>
// CHECK: exponentials are from 0 to 2^31 - 1, and begin above 0

// -----

%x = "test.op"() : () -> tensor<2x!fixed.num<u4, 4>>
%y = qnn.reshape %x : (tensor<2x!fixed.num<u4, 4>>) -> tensor<2x!fixed.num<u5, 4>>
// CHECK: qnn.reshape keeps the element type

// -----

%x = "test.op"() : () -> tensor<2x3xf32>
%y = qnn.reshape %x : (tensor<2x3xf32>) -> tensor<5xf32>
// CHECK: cannot reshape (2, 3) to (5,)

// -----

%x = "test.op"() : () -> tensor<2x3xf32>
%y = qnn.transpose %x {permutation = array<i64: 0, 0>} : (tensor<2x3xf32>) -> tensor<2x2xf32>
// CHECK: (0, 0) is no permutation of the axes of (2, 3)

// -----

%x = "test.op"() : () -> tensor<2x3xf32>
%y = qnn.pad %x {padding = array<i64: 0, 0, 0, 0>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK: an image has three axes (H, W, C), not (2, 3)

// -----

%x = "test.op"() : () -> tensor<2x3x1xf32>
%y = qnn.pad %x {padding = array<i64: -1, 0, 0, 0>} : (tensor<2x3x1xf32>) -> tensor<1x3x1xf32>
// CHECK: padding is (top, bottom, left, right), not (-1, 0, 0, 0)

// -----

%x = "test.op"() : () -> tensor<2x3x1xf32>
%y = qnn.upsample %x {factors = array<i64: 0, 1>} : (tensor<2x3x1xf32>) -> tensor<0x3x1xf32>
// CHECK: (0, 1) are not how often rows and columns repeat

// -----

%x = "test.op"() : () -> tensor<2xf32>
%y = qnn.upsample %x {factors = array<i64: 1, 1>} : (tensor<2xf32>) -> tensor<2xf32>
// CHECK: an image has three axes (H, W, C), not (2,)

// -----

%x, %z = "test.op"() : () -> (tensor<2x3xf32>, tensor<2x2xf32>)
%y = qnn.concat %x, %z {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2x2xf32>) -> tensor<4x3xf32>
// CHECK: cannot concatenate ((2, 3), (2, 2)) along axis 0

// -----

%y = qnn.concat {axis = 0 : i64} : () -> tensor<4x3xf32>
// CHECK: cannot concatenate () along axis 0

// -----

%x = "test.op"() : () -> tensor<2x3xf32>
%y = qnn.slice %x {axis = 1 : i64, start = 2 : i64, stop = 4 : i64} : (tensor<2x3xf32>) -> tensor<2x2xf32>
// CHECK: no range 2 to 4 of axis 1 in (2, 3)
