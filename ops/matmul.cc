#include "ops/matmul.h"

#include "core/error.h"
#include "core/parallel.h"
#include "ops/gemm/gemm.h"
#include "ops/views.h"

namespace inkling {

namespace {

// The matrices of a tensor: the offset of each matrix, and the strides of its rows and columns.
struct Matrices {
  explicit Matrices(const Tensor& t) {
    const int rank = t.rank();
    rows = t.dim(rank - 2), columns = t.dim(rank - 1);
    // The stride of an axis of length 1 has no meaning.
    column_stride = columns == 1 ? 1 : t.stride(rank - 1);
    row_stride = rows == 1 && column_stride != 1 ? 1 : t.stride(rank - 2);
    for (int axis = rank - 3; axis >= 0; --axis) {
      const int place = rank - 3 - axis;  // place 0 is the axis that changes faster
      batch[place] = t.dim(axis);
      batch_stride[place] = t.stride(axis);
    }
  }

  bool unit_stride() const { return row_stride == 1 || column_stride == 1; }
  std::int64_t count() const { return batch[0] * batch[1]; }
  std::int64_t offset(std::int64_t i) const {
    return i % batch[0] * batch_stride[0] + i / batch[0] * batch_stride[1];
  }
  MatrixIn<float> view(const float* data, std::int64_t i) const {
    return {data + offset(i), row_stride, column_stride};
  }

  std::int64_t rows, columns, row_stride, column_stride;
  std::int64_t batch[2] = {1, 1}, batch_stride[2] = {0, 0};
};

// Returns a view of a contiguous tensor in which all rows of all its matrices are one matrix. For a product
// with one shared b.
Tensor as_one_matrix(const Tensor& t) {
  return t.reshape({t.shape().leading().numel(), t.shape().back()});
}

// Computes C = A B (or C += A B), for a C whose rows or columns are contiguous. If the columns are
// contiguous, it computes C^T = B^T A^T, because the rows of C^T are contiguous.
void multiply_into(float* data, const Matrices& C, std::int64_t i, const MatrixIn<float>& A,
                   const MatrixIn<float>& B, std::int64_t K, bool accumulate) {
  float* c = data + C.offset(i);
  if (C.column_stride == 1) {
    gemm(assign_or_add(c, C.row_stride, accumulate), A, B, {C.rows, C.columns, K});
  } else {
    gemm(assign_or_add(c, C.column_stride, accumulate), B.transposed(), A.transposed(),
         {C.columns, C.rows, K});
  }
}

void gradient_of_a(Gradients& gradients, const Tensor& c, const Tensor& a, const Tensor& b) {
  const Matrices C(c), A(a), B(b);
  const float* dc = gradients.of(c);
  const GradientTarget da = gradients.target(a);
  parallel_chunks(A.count(), [&](std::int64_t i) {
    const MatrixIn<float> b_i = B.view(b.f32(), B.count() == 1 ? 0 : i);
    multiply_into(da.data, A, i, C.view(dc, i), b_i.transposed(), C.columns, da.accumulate);
  });
}

void gradient_of_b(Gradients& gradients, const Tensor& c, const Tensor& a, const Tensor& b) {
  const Matrices C(c), A(a), B(b);
  const float* dc = gradients.of(c);
  if (B.count() == A.count()) {
    const GradientTarget db = gradients.target(b);
    parallel_chunks(B.count(), [&](std::int64_t i) {
      multiply_into(db.data, B, i, A.view(a.f32(), i).transposed(), C.view(dc, i), A.rows, db.accumulate);
    });
  } else {  // one product after another, because all add to the same matrix
    float* db = gradients.sum_into(b);
    for (std::int64_t i = 0; i < A.count(); ++i) {
      multiply_into(db, B, 0, A.view(a.f32(), i).transposed(), C.view(dc, i), A.rows, true);
    }
  }
}

void check_shapes(const Tensor& a, const Tensor& b) {
  const auto expect = [&](bool fits, const char* what) {
    if (!fits) fail("matmul: a is ", a.shape(), " and b is ", b.shape(), ", expected ", what);
  };
  expect(a.rank() >= 2 && b.rank() >= 2, "(..., M, K) and (..., K, N)");
  expect(a.shape().back() == b.dim(b.rank() - 2), "equal numbers of columns of a and rows of b");
  expect(b.rank() == 2 || b.rank() == a.rank(), "b to be one matrix, or to have the rank of a");
  for (int axis = 0; b.rank() > 2 && axis < a.rank() - 2; ++axis) {
    expect(a.dim(axis) == b.dim(axis), "the same leading axes");
  }
}

// Multiplies a and b into c, which is allocated already, and records the backward. gemm can read the matrices
// of a, b and c, because each has a stride of 1.
void run_and_record(Tape& tape, const Tensor& c, const Tensor& a, const Tensor& b) {
  const Matrices C(c), A(a), B(b);
  const Work work = multiplying(c.numel() * A.columns, {a, b, c});  // forward, dA and dB have equal work
  const auto scope = tape.scope("matmul", c, work);
  parallel_chunks(C.count(), [&](std::int64_t i) {
    const MatrixIn<float> b_i = B.view(b.f32(), B.count() == 1 ? 0 : i);
    multiply_into(c.f32(), C, i, A.view(a.f32(), i), b_i, A.columns, false);
  });
  tape.record("matmul.db", {c}, {b}, work, [=](Gradients& gradients) { gradient_of_b(gradients, c, a, b); });
  tape.record("matmul.da", {c}, {a}, work, [=](Gradients& gradients) { gradient_of_a(gradients, c, a, b); });
}

}  // namespace

Tensor matmul(Tape& tape, const Tensor& a, const Tensor& b) {
  check_shapes(a, b);
  const Tensor A = Matrices(a).unit_stride() ? a : contiguous(tape, a);
  const Tensor B = Matrices(b).unit_stride() ? b : contiguous(tape, b);
  Shape shape = a.shape();
  shape[shape.rank - 1] = b.shape().back();
  const Tensor c = tape.output(shape, {A, B});
  if (A.contiguous() && B.rank() == 2) {
    run_and_record(tape, as_one_matrix(c), as_one_matrix(A), B);
  } else {
    run_and_record(tape, c, A, B);
  }
  return c;
}

}  // namespace inkling
