#include "serve/tls.h"

#include "core/file.h"
#include "mii/error.h"

namespace mii::serve {

namespace ssl = boost::asio::ssl;

namespace {

constexpr uint64_t kMaxFileBytes = 1 << 20;

}  // namespace

std::shared_ptr<ssl::context> make_tls_context(const std::filesystem::path& certificate,
                                               const std::filesystem::path& key) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  context->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 | ssl::context::no_sslv3 |
                       ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
  boost::system::error_code error;
  // An encrypted key would make OpenSSL ask for its password on the terminal, and wait.
  context->set_password_callback([](size_t, ssl::context::password_purpose) { return std::string(); }, error);
  const std::string chain = read_text_file(certificate, kMaxFileBytes);
  context->use_certificate_chain(boost::asio::buffer(chain), error);
  if (error)
    throw Error(ErrorCode::invalid_argument,
                certificate.string() + ": no usable certificate: " + error.message());
  const std::string private_key = read_text_file(key, kMaxFileBytes);
  context->use_private_key(boost::asio::buffer(private_key), ssl::context::pem, error);
  if (error)
    throw Error(ErrorCode::invalid_argument,
                key.string() + ": no usable private key of that certificate: " + error.message());
  return context;
}

}  // namespace mii::serve
