#include "core/tensor.h"

#include <utility>

#include "core/error.h"

namespace inkling {

const char* name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::i32:
      return "i32";
  }
  return "?";
}

std::int64_t size_bytes(DType dtype) {
  return dtype == DType::bf16 ? 2 : 4;
}

Shape::Shape(std::initializer_list<std::int64_t> list) {
  if (list.size() > kMaxRank) fail("shape: got ", list.size(), " dimensions, expected at most ", kMaxRank);
  for (std::int64_t d : list) {
    if (d < -1) fail("shape: dimension ", rank, " is ", d, ", expected 0 or more, or -1 for reshape");
    (*this)[rank++] = d;
  }
}

std::int64_t Shape::numel() const {
  std::int64_t n = 1;
  for (int axis = 0; axis < rank; ++axis) n *= (*this)[axis];
  return n;
}

Shape Shape::leading() const {
  Shape left = *this;
  if (left.rank > 0) left[--left.rank] = 0;
  return left;
}

bool Shape::operator==(const Shape& other) const {
  if (rank != other.rank) return false;
  for (int axis = 0; axis < rank; ++axis) {
    if ((*this)[axis] != other[axis]) return false;
  }
  return true;
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '(';
  for (int axis = 0; axis < shape.rank; ++axis) out << (axis ? ", " : "") << shape[axis];
  return out << ')';
}

namespace {

Shape contiguous_strides(const Shape& shape) {
  Shape stride = shape;
  std::int64_t step = 1;
  for (int axis = shape.rank - 1; axis >= 0; --axis) {
    stride[axis] = step;
    step *= shape[axis];
  }
  return stride;
}

void check_axis(const char* what, const Shape& shape, int axis) {
  if (axis < 0 || axis >= shape.rank)
    fail(what, ": axis ", axis, " of a tensor ", shape, " does not exist, expected 0 <= axis < ", shape.rank);
}

}  // namespace

Tensor::Tensor(void* data, Shape shape, DType dtype, std::int32_t slot)
    : data_(data), shape_(shape), stride_(contiguous_strides(shape)), dtype_(dtype), slot_(slot) {
  for (int axis = 0; axis < shape.rank; ++axis) {
    if (shape[axis] < 0) fail("tensor: shape ", shape, " has a negative dimension, expected 0 or more");
  }
}

bool Tensor::contiguous() const {
  std::int64_t step = 1;
  for (int axis = rank() - 1; axis >= 0; --axis) {
    if (shape_[axis] != 1 && stride_[axis] != step) return false;
    step *= shape_[axis];
  }
  return true;
}

void Tensor::expect_dtype(DType dtype) const {
  if (dtype_ != dtype) fail("tensor ", shape_, ": dtype is ", name(dtype_), ", expected ", name(dtype));
}

float Tensor::item() const {
  if (numel() != 1) fail("item: tensor ", shape_, " has ", numel(), " elements, expected 1");
  return *f32();
}

Tensor Tensor::reshape(Shape shape) const {
  if (!contiguous()) fail("reshape: tensor ", shape_, " is not contiguous, expected a contiguous tensor");
  int open = -1;
  std::int64_t known = 1;
  for (int axis = 0; axis < shape.rank; ++axis) {
    if (shape[axis] == -1) {
      if (open >= 0) fail("reshape: ", shape, " has -1 twice, expected at most one -1");
      open = axis;
    } else {
      known *= shape[axis];
    }
  }
  if (open >= 0) shape[open] = known == 0 ? 0 : numel() / known;
  if (shape.numel() != numel()) {
    fail("reshape: ", shape_, " has ", numel(), " elements, but ", shape, " has ", shape.numel(),
         ", expected the same number");
  }
  Tensor view = *this;
  view.shape_ = shape;
  view.stride_ = contiguous_strides(shape);
  return view;
}

Tensor Tensor::transpose(int a, int b) const {
  check_axis("transpose", shape_, a);
  check_axis("transpose", shape_, b);
  Tensor view = *this;
  std::swap(view.shape_[a], view.shape_[b]);
  std::swap(view.stride_[a], view.stride_[b]);
  return view;
}

Tensor Tensor::slice(int axis, std::int64_t begin, std::int64_t end) const {
  check_axis("slice", shape_, axis);
  if (begin < 0 || end < begin || end > shape_[axis]) {
    fail("slice: [", begin, ", ", end, ") of axis ", axis, " of a tensor ", shape_,
         ", expected a range inside [0, ", shape_[axis], ")");
  }
  Tensor view = *this;
  view.shape_[axis] = end - begin;
  view.data_ = static_cast<char*>(data_) + begin * stride_[axis] * size_bytes(dtype_);
  return view;
}

Tensor Tensor::detach() const {
  Tensor view = *this;
  view.slot_ = kNoGradient;
  return view;
}

void check_dtype(const char* op, const char* argument, const Tensor& x, DType expected) {
  if (x.dtype() == expected) return;
  fail(op, ": ", argument, " ", x.shape(), ": dtype is ", name(x.dtype()), ", expected ", name(expected));
}

}  // namespace inkling
