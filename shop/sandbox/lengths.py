"""How long texts may be, where Stripe's API description or its reference names a length of its own."""

USUAL_LENGTH = 5000

_ITEM = "line_items[]"
_PRODUCT = f"{_ITEM}[price_data][product_data]"
_RATE = "shipping_options[][shipping_rate_data]"
_FIELD = "custom_fields[]"

# By the name of the parameter; the names that two calls share mean the same in both.
LENGTHS = {
    "client_reference_id": 200,
    "integration_identifier": 200,
    "payment_method_configuration": 100,
    f"{_PRODUCT}[description]": 40000,
    f"{_PRODUCT}[unit_label]": 12,
    f"{_RATE}[display_name]": 100,
    "payment_intent_data[description]": 1000,
    "payment_intent_data[statement_descriptor]": 22,
    "payment_intent_data[statement_descriptor_suffix]": 22,
    "setup_intent_data[description]": 1000,
    "subscription_data[description]": 500,
    "invoice_creation[invoice_data][description]": 1500,
    "invoice_creation[invoice_data][custom_fields][][name]": 40,
    "invoice_creation[invoice_data][custom_fields][][value]": 140,
    f"{_FIELD}[key]": 200,
    # The description allows 100, the reference says "Up to 50 characters".
    f"{_FIELD}[label][custom]": 50,
    f"{_FIELD}[text][default_value]": 255,
    f"{_FIELD}[numeric][default_value]": 255,
    f"{_FIELD}[dropdown][default_value]": 100,
    f"{_FIELD}[dropdown][options][][label]": 100,
    f"{_FIELD}[dropdown][options][][value]": 100,
    "custom_text[after_submit][message]": 1200,
    "custom_text[shipping_address][message]": 1200,
    "custom_text[submit][message]": 1200,
    "custom_text[terms_of_service_acceptance][message]": 1200,
    "collected_information[shipping_details][name]": 255,
    "payment_method_options[acss_debit][mandate_options][interval_description]": 500,
    "payment_method_options[bacs_debit][mandate_options][reference_prefix]": 12,
    "payment_method_options[sepa_debit][mandate_options][reference_prefix]": 12,
    "payment_method_options[card][statement_descriptor_suffix_kana]": 22,
    "payment_method_options[card][statement_descriptor_suffix_kanji]": 17,
    "payment_method_options[klarna][subscriptions][][name]": 255,
    "payment_method_options[klarna][subscriptions][][reference]": 255,
    "payment_method_options[paypal][reference]": 127,
    "payment_method_options[paypal][risk_correlation_id]": 32,
    "payment_method_options[pix][mandate_options][reference]": 35,
    "payment_method_options[upi][mandate_options][description]": 20,
    "evidence[access_activity_log]": 20000,
    "evidence[cancellation_policy_disclosure]": 20000,
    "evidence[cancellation_rebuttal]": 20000,
    "evidence[duplicate_charge_explanation]": 20000,
    "evidence[product_description]": 20000,
    "evidence[refund_policy_disclosure]": 20000,
    "evidence[refund_refusal_explanation]": 20000,
    "evidence[uncategorized_text]": 20000,
}
