// RUN: calocc-opt %s --split-input-file --verify-diagnostics --parsing-diagnostics | filecheck %s

// Embeddings that are refused.

// The arrays of all parts.
func.func private @arrays() -> ()

{-#
  dialect_resources: {
    fixed: {
      ba21c0a9853733aa0: "0x01fc07050201"
    }
  }
#-}

// -----

%x, %w = "test.op"() : () -> (tensor<4xf32>, tensor<3xf32>)
%y = qnn.embedding %x, %w : (tensor<4xf32>, tensor<3xf32>) -> tensor<4x3xf32>
// CHECK: a table has rows and columns, not the shape (3,)

// -----

%x, %w = "test.op"() : () -> (tensor<4xf32>, tensor<3x2xf32>)
%y = qnn.embedding %x, %w : (tensor<4xf32>, tensor<3x2xf32>) -> tensor<4x3xf32>
// CHECK: result shape (4, 3), expected (4, 2)

// -----

%x, %w = "test.op"() : () -> (tensor<4x!fixed.num<u3, 2>>, tensor<3x2x!fixed.num<s4, 2>>)
%y = qnn.embedding %x, %w : (tensor<4x!fixed.num<u3, 2>>, tensor<3x2x!fixed.num<s4, 2>>) -> tensor<4x2x!fixed.num<s4, 2>>
// CHECK: indices are integers, not ufixed<3,2>

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x!fixed.num<u2, 2>>, 2>
%y = dataflow.embedding %x {table = #fixed.blob<ba21c0a9853733aa0 : tensor<3x2xi8>>} : (!dataflow.stream<tensor<4x!fixed.num<u2, 2>>, 2>) -> !dataflow.stream<tensor<4x2x!fixed.num<s4, 2>>, 2>
// CHECK: embedding takes one integer at a time

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x!fixed.num<u3, 2>>, 1>
%y = dataflow.embedding %x {table = #fixed.blob<ba21c0a9853733aa0 : tensor<3x2xi8>>} : (!dataflow.stream<tensor<4x!fixed.num<u3, 2>>, 1>) -> !dataflow.stream<tensor<4x2x!fixed.num<s4, 2>>, 2>
// CHECK: embedding takes one integer at a time

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x!fixed.num<u2, 2>>, 1>
%y = dataflow.embedding %x {table = #fixed.blob<ba21c0a9853733aa0 : tensor<3x2xi8>>} : (!dataflow.stream<tensor<4x!fixed.num<u2, 2>>, 1>) -> !dataflow.stream<tensor<4x3x!fixed.num<s4, 2>>, 3>
// CHECK: a table (3, 2) does not take (4,) to (4, 3)

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<4x!fixed.num<u2, 2>>, 1>
%y = dataflow.embedding %x {table = #fixed.blob<ba21c0a9853733aa0 : tensor<3x2xi8>>} : (!dataflow.stream<tensor<4x!fixed.num<u2, 2>>, 1>) -> !dataflow.stream<tensor<4x2x!fixed.num<s3, 2>>, 2>
// CHECK: fixed<3,2> does not hold -4 to 7
