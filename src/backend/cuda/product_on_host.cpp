#include "backend/cuda/product.h"

namespace mii::cuda {
namespace {

class PlainProducts final : public Products {
 public:
  PlainProducts(std::shared_ptr<Device> device, Operand type) : device_(std::move(device)), type_(type) {}
  void multiply(const Product& product, Operand result) override {
    multiply_plainly(*device_, plain(product), product.operands(type_), result);
  }
  std::string description() const override { return "plain products"; }

 private:
  std::shared_ptr<Device> device_;
  Operand type_;
};

}  // namespace

std::unique_ptr<Products> Products::make(std::shared_ptr<Device> device, Operand type) {
  return std::make_unique<PlainProducts>(std::move(device), type);
}

}  // namespace mii::cuda
