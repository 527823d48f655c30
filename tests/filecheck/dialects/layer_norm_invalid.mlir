// RUN: calocc-opt %s --split-input-file --verify-diagnostics --parsing-diagnostics | filecheck %s

// Layer normalisations that are refused.

%x = "test.op"() : () -> tensor<4xf32>
%y = qnn.layer_norm %x {offset = 1 : i64, frac = 9 : i64} : (tensor<4xf32>) -> tensor<4xf32>
// CHECK: reals take an epsilon, fixed-point numbers offset and frac

// -----

%x = "test.op"() : () -> tensor<4x!fixed.num<s6, 3>>
%y = qnn.layer_norm %x {epsilon = 1.000000e-03 : f64} : (tensor<4x!fixed.num<s6, 3>>) -> tensor<4x!fixed.num<s16, 2>>
// CHECK: reals take an epsilon, fixed-point numbers offset and frac

// -----

%x = "test.op"() : () -> tensor<4xf32>
%y = qnn.layer_norm %x {epsilon = 0.000000e+00 : f64} : (tensor<4xf32>) -> tensor<4xf32>
// CHECK: epsilon is above 0

// -----

%x = "test.op"() : () -> tensor<4x!fixed.num<s6, 3>>
%y = qnn.layer_norm %x {offset = 0 : i64, frac = 9 : i64} : (tensor<4x!fixed.num<s6, 3>>) -> tensor<4x!fixed.num<s16, 2>>
// CHECK: epsilon as 0 * 2^-18 does not suit fixed<6,3>

// -----

%x = "test.op"() : () -> tensor<4x!fixed.num<s6, 3>>
%y = qnn.layer_norm %x {offset = 1 : i64, frac = 2 : i64} : (tensor<4x!fixed.num<s6, 3>>) -> tensor<4x!fixed.num<s16, 2>>
// CHECK: epsilon as 1 * 2^-4 does not suit fixed<6,3>

// -----

%x = "test.op"() : () -> tensor<4x!fixed.num<s32, 3>>
%y = qnn.layer_norm %x {offset = 1 : i64, frac = 29 : i64} : (tensor<4x!fixed.num<s32, 3>>) -> tensor<4x!fixed.num<s16, 2>>
// CHECK: the variance of 4 elements of fixed<32,3> leaves 62 bits

// -----

%x = "test.op"() : () -> tensor<4x!fixed.num<s6, 3>>
%y = qnn.layer_norm %x {offset = 1 : i64, frac = 9 : i64} : (tensor<4x!fixed.num<s6, 3>>) -> tensor<4x!fixed.num<s15, 1>>
// CHECK: fixed<15,1> does not hold results up to 28378 * 2^-14

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x!fixed.num<s6, 3>>, 2>
%y = dataflow.layer_norm %x {offset = 1 : i64, frac = 9 : i64} : (!dataflow.stream<tensor<4x!fixed.num<s6, 3>>, 2>) -> !dataflow.stream<tensor<4x!fixed.num<s16, 2>>, 2>
// CHECK: layer_norm takes one element at a time

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x!fixed.num<s6, 3>>, 1>
%y = dataflow.layer_norm %x {offset = 1 : i64, frac = 9 : i64} : (!dataflow.stream<tensor<4x!fixed.num<s6, 3>>, 1>) -> !dataflow.stream<tensor<2x2x!fixed.num<s16, 2>>, 1>
// CHECK: layer_norm keeps the shape

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x!fixed.num<s6, 3>>, 1>
%y = dataflow.layer_norm %x {offset = 0 : i64, frac = 9 : i64} : (!dataflow.stream<tensor<4x!fixed.num<s6, 3>>, 1>) -> !dataflow.stream<tensor<4x!fixed.num<s16, 2>>, 1>
// CHECK: epsilon as 0 * 2^-18 does not suit fixed<6,3>
