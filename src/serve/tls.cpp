#include "serve/tls.h"

#include "mii/error.h"

namespace mii::serve {

namespace ssl = boost::asio::ssl;

std::shared_ptr<ssl::context> make_tls_context(const std::filesystem::path& certificate,
                                               const std::filesystem::path& key) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  context->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 | ssl::context::no_sslv3 |
                       ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
  boost::system::error_code error;
  context->use_certificate_chain_file(certificate.string(), error);
  if (error)
    throw Error(ErrorCode::invalid_argument,
                certificate.string() + ": no usable certificate: " + error.message());
  context->use_private_key_file(key.string(), ssl::context::pem, error);
  if (error)
    throw Error(ErrorCode::invalid_argument,
                key.string() + ": no usable private key of that certificate: " + error.message());
  return context;
}

}  // namespace mii::serve
