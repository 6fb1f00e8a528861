"""The transitions, as a table that is written by hand and reviewed. It is not computed from the chart.

A row says what a trigger does to a flow in a state, given something: the state afterwards (with the
message, if that is what tells two transitions apart), or ``!`` and the reason why nothing changed. Rows with a condition are there for the guards: every guard, taken out
of any one transition, changes the result of at least one row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from pydantic import SecretStr
from tests.flows import (
    FLOWS,
    INPUTS,
    KEY,
    NOW,
    POLICY,
    TRIGGERS,
)

import oncegate.machine.advance as advance_module
from oncegate import (
    Factor,
    FlowState,
    SignUpForm,
    WaysIn,
)
from oncegate.machine.advance import CHART, NotAllowed, advance
from oncegate.machine.chart import SignInMachine
from oncegate.machine.context import GuardInputs, Policy
from oncegate.machine.engine import CompiledChart
from oncegate.record import Flow

DIGEST = "digest of the answer"

TABLE = """
# state                | trigger             | given               | result

# ── the user's events ──
idle                   | submit_username     | passwordless        | requesting_challenge
idle                   | submit_username     |                     | ! not_allowed
idle                   | submit_username     | passwordless, late  | ! stale
idle                   | submit_username     | passwordless, no budget | ! too_many_codes
idle                   | submit_password     |                     | checking_password
idle                   | submit_password     | late                | ! stale
idle                   | submit_password     | early               | ! stale
idle                   | submit_password     | no budget           | ! too_many_codes
idle                   | password alone      |                     | ! username_missing
idle                   | password alone      | username            | checking_password
idle                   | cancel              |                     | failed
idle                   | cancel              | late                | ! stale
awaiting_password      | password alone      |                     | checking_password
awaiting_password      | password alone      | late                | ! stale
awaiting_password      | password alone      | no budget           | ! too_many_codes
choosing_first_factor  | choose password     |                     | awaiting_password
choosing_first_factor  | choose password     | late                | ! stale
choosing_first_factor  | choose password     | not offered         | ! not_offered
choosing_first_factor  | choose email        |                     | requesting_challenge
choosing_first_factor  | choose email        | late                | ! stale
choosing_first_factor  | choose email        | no budget           | ! too_many_codes
choosing_first_factor  | choose email        | cooling, email sent | ! too_soon
choosing_first_factor  | choose email        | cooling             | requesting_challenge
choosing_first_factor  | choose passkey      |                     | ! not_offered
password_verified      | choose email        |                     | requesting_challenge
password_verified      | choose email        | late                | ! stale
password_verified      | choose email        | no budget           | ! too_many_codes
password_verified      | choose email        | cooling, email sent | ! too_soon
password_verified      | choose email        | cooling             | requesting_challenge
password_verified      | choose passkey      |                     | ! not_offered
choosing what to set up | choose email       |                     | setting_up_email
choosing what to set up | choose email       | late                | ! stale
choosing what to set up | choose email       | not offered         | ! not_offered
choosing what to set up | choose totp        |                     | requesting_challenge
code with another way  | choose text         |                     | requesting_challenge
code with another way  | choose text         | late                | ! stale
code with another way  | choose text         | no budget           | ! too_many_codes
code with another way  | choose text         | no new codes        | ! no_more_codes
code with another way  | choose text         | cooling             | requesting_challenge
code with another way  | choose text         | cooling, text sent  | ! too_soon
code with another way  | choose text         | text sent           | requesting_challenge
code with another way  | choose email        |                     | ! not_offered
code with another way  | choose text         | retained            | requesting_challenge
code with another way  | choose password     |                     | awaiting_password
code with another way  | choose password     | late                | ! stale
awaiting_mfa           | choose password     |                     | ! not_offered
awaiting_mfa           | choose text         |                     | ! not_offered
passkey with another way | choose text       |                     | requesting_challenge
passkey with another way | choose text       | late                | ! stale
passkey with another way | choose text       | no budget           | ! too_many_codes
passkey with another way | choose text       | no new codes        | ! no_more_codes
passkey with another way | choose text       | cooling, text sent  | ! too_soon
passkey with another way | choose email      |                     | ! not_offered
passkey with another way | choose password   |                     | awaiting_password
passkey with another way | choose password   | late                | ! stale
awaiting_passkey       | choose password     |                     | ! not_offered
password with another way | choose text      |                     | requesting_challenge
password with another way | choose text      | late                | ! stale
password with another way | choose text      | no budget           | ! too_many_codes
password with another way | choose text      | no new codes        | ! no_more_codes
password with another way | choose text      | cooling, text sent  | ! too_soon
password with another way | choose password  |                     | ! not_offered
password with another way | choose email     |                     | ! not_offered
awaiting_password      | choose email        |                     | requesting_challenge
setting_up_email       | choose totp         |                     | requesting_challenge
setting_up_email       | choose totp         | late                | ! stale
setting_up_email       | choose totp         | not offered         | ! not_offered
setting_up_email       | choose totp         | no budget           | ! too_many_codes
setting_up_email       | choose email        |                     | ! not_offered
setting_up_email       | submit_email        |                     | requesting_challenge
setting_up_email       | submit_email        | late                | ! stale
setting_up_email       | submit_email        | no budget           | ! too_many_codes
awaiting_mfa           | submit_code         |                     | checking_answer
awaiting_mfa           | submit_code         | no budget           | checking_answer
awaiting_mfa           | submit_code         | no guesses          | ! too_many_guesses
awaiting_mfa           | submit_code         | late                | ! stale
awaiting_mfa           | submit_code         | attempted           | ! already_tried
setting_up_totp        | submit_code         |                     | checking_answer
setting_up_totp        | submit_code         | late                | ! stale
setting_up_totp        | submit_code         | attempted           | ! already_tried
setting_up_totp        | submit_code         | no guesses          | ! too_many_guesses
awaiting_confirmation  | submit_code         |                     | checking_answer
awaiting_confirmation  | submit_code         | late                | ! stale
awaiting_confirmation  | submit_code         | attempted           | ! already_tried
awaiting_confirmation  | submit_code         | no guesses          | ! too_many_guesses
awaiting_passkey       | submit_passkey      |                     | checking_answer
awaiting_passkey       | submit_passkey      | late                | ! stale
awaiting_passkey       | submit_passkey      | attempted           | ! already_tried
awaiting_answer        | submit_answer       |                     | checking_answer
awaiting_answer        | submit_answer       | late                | ! stale
awaiting_answer        | submit_answer       | attempted           | ! already_tried
awaiting_answer        | submit_answer       | no budget           | ! too_many_codes
awaiting_answer        | submit_answer       | no guesses          | ! too_many_guesses
awaiting_new_password  | submit_new_password |                     | setting_password
awaiting_new_password  | submit_new_password | attempted           | setting_password
awaiting_new_password  | submit_new_password | late                | ! stale
awaiting_new_password  | submit_new_password | no budget           | ! too_many_codes
awaiting_reset         | reset_password      |                     | setting_password
awaiting_reset         | reset_password      | late                | ! stale
awaiting_reset         | reset_password      | attempted           | ! already_tried
awaiting_reset         | reset_password      | no guesses          | ! too_many_guesses
offering_device        | remember            |                     | remembering_device
offering_device        | remember            | late                | ! stale
offering_device        | do not remember     |                     | authenticated
offering_device        | do not remember     | late                | ! stale
offering_device        | cancel              |                     | ! not_allowed
awaiting_confirmation  | request_new_code    |                     | requesting_challenge
awaiting_confirmation  | request_new_code    | late                | ! stale
awaiting_confirmation  | request_new_code    | cooling             | ! too_soon
awaiting_confirmation  | request_new_code    | no new codes        | ! no_more_codes
awaiting_confirmation  | request_new_code    | no budget           | ! too_many_codes
awaiting_reset         | request_new_code    |                     | requesting_challenge
awaiting_reset         | request_new_code    | late                | ! stale
awaiting_reset         | request_new_code    | cooling             | ! too_soon
awaiting_reset         | request_new_code    | no new codes        | ! no_more_codes
awaiting_reset         | request_new_code    | no budget           | ! too_many_codes
awaiting_mfa           | request_new_code    |                     | idle
awaiting_mfa           | request_new_code    | late                | ! stale
awaiting_mfa           | request_new_code    | cooling             | ! too_soon
awaiting_mfa           | request_new_code    | no new codes        | ! no_more_codes
awaiting_mfa           | request_new_code    | no budget           | ! too_many_codes
awaiting_mfa           | request_new_code    | retained            | checking_password
awaiting_mfa           | request_new_code    | retained, late      | ! stale
awaiting_mfa           | request_new_code    | retained, cooling   | ! too_soon
awaiting_mfa           | request_new_code    | retained, no new codes | ! no_more_codes
awaiting_mfa           | request_new_code    | retained, no budget | ! too_many_codes
code as first factor   | request_new_code    |                     | requesting_challenge
code as first factor   | request_new_code    | late                | ! stale
code as first factor   | request_new_code    | cooling             | ! too_soon
code as first factor   | request_new_code    | no new codes        | ! no_more_codes
code as first factor   | request_new_code    | no budget           | ! too_many_codes
code from an app       | request_new_code    |                     | ! not_allowed
code from an app       | request_new_code    | retained            | ! not_allowed
app as first factor    | request_new_code    |                     | ! not_allowed
password_verified      | cancel              | late                | ! stale
choosing_first_factor  | cancel              | late                | ! stale
awaiting_password      | cancel              | late                | ! stale
awaiting_mfa           | cancel              | late                | ! stale
setting_up_totp        | cancel              | late                | ! stale
setting_up_email       | cancel              | late                | ! stale
awaiting_passkey       | cancel              | late                | ! stale
awaiting_answer        | cancel              | late                | ! stale
awaiting_confirmation  | cancel              | late                | ! stale
awaiting_new_password  | cancel              | late                | ! stale
awaiting_reset         | cancel              | late                | ! stale
password_verified      | cancel              |                     | failed
choosing_first_factor  | cancel              |                     | failed
awaiting_password      | cancel              |                     | failed
awaiting_mfa           | cancel              |                     | failed
setting_up_totp        | cancel              |                     | failed
setting_up_email       | cancel              |                     | failed
awaiting_passkey       | cancel              |                     | failed
awaiting_answer        | cancel              |                     | failed
awaiting_confirmation  | cancel              |                     | failed
awaiting_new_password  | cancel              |                     | failed
awaiting_reset         | cancel              |                     | failed
checking_password      | submit_password     |                     | ! in_flight
checking_answer        | submit_code         |                     | ! in_flight
checking_answer        | cancel              |                     | ! in_flight

# ── the other ways in ──
idle                   | forgot_password     |                     | requesting_challenge
idle                   | forgot_password     | late                | ! stale
idle                   | forgot_password     | not offered at all  | ! not_allowed
idle                   | forgot_password     | cooling             | ! too_soon
idle                   | forgot_password     | no budget           | ! too_many_codes
idle                   | forgot alone        |                     | ! username_missing
idle                   | forgot alone        | username            | requesting_challenge
rejected sign-in       | forgot alone        |                     | requesting_challenge
awaiting_password      | forgot alone        |                     | requesting_challenge
awaiting_password      | forgot alone        | late                | ! stale
awaiting_password      | forgot alone        | not offered at all  | ! not_allowed
awaiting_password      | forgot alone        | no username         | ! username_missing
awaiting_password      | forgot alone        | cooling             | ! too_soon
awaiting_password      | forgot alone        | no budget           | ! too_many_codes
awaiting_mfa           | forgot_password     |                     | ! not_allowed
idle                   | sign_up             |                     | creating_account
idle                   | sign_up             | late                | ! stale
idle                   | sign_up             | not offered at all  | ! not_allowed
idle                   | sign_up             | cooling             | ! too_soon
idle                   | sign_up             | no budget           | ! too_many_codes
idle                   | sign_up without an address |              | ! attributes_missing
signing_up             | sign_up without an address |              | ! attributes_missing
idle                   | sign_up without a password |              | ! password_missing
idle                   | sign_up without a password | no password asked | creating_account
signing_up             | sign_up             |                     | creating_account
signing_up             | sign_up             | late                | ! stale
signing_up             | sign_up             | not offered at all  | ! not_allowed
signing_up             | sign_up             | cooling             | ! too_soon
signing_up             | sign_up             | no budget           | ! too_many_codes
signing_up             | sign_up without a password |              | ! password_missing
awaiting_confirmation  | sign_up             |                     | ! not_allowed
idle                   | sign_in_with        |                     | requesting_challenge
idle                   | sign_in_with        | late                | ! stale
idle                   | sign_in_with        | not offered at all  | ! not_offered
idle                   | sign in with another |                    | ! not_offered
awaiting_provider      | submit_authorization |                    | exchanging_code
awaiting_provider      | submit_authorization | late               | ! stale
awaiting_provider      | submit_authorization | attempted          | ! already_tried
awaiting_provider      | authorization of another |                | ! not_this_sign_in
awaiting_provider      | authorization denied |                    | idle: provider_denied
awaiting_provider      | authorization denied | late               | ! stale
awaiting_provider      | authorization failed |                    | idle: provider_failed
awaiting_provider      | denied of another   |                     | ! not_this_sign_in
idle                   | submit_authorization |                    | ! not_allowed
signing_up             | cancel              |                     | failed
signing_up             | cancel              | late                | ! stale
awaiting_provider      | cancel              |                     | failed
awaiting_provider      | cancel              | late                | ! stale
second factor with another way | choose email |                    | idle: password_for_other_factor
second factor with another way | choose email | late               | ! stale
second factor with another way | choose email | no budget          | ! too_many_codes
second factor with another way | choose email | no new codes       | ! no_more_codes
second factor with another way | choose email | cooling, email sent | ! too_soon
second factor with another way | choose email | cooling            | idle
second factor with another way | choose sms   |                    | ! not_offered
second factor with another way | choose email | retained           | checking_password
second factor with another way | choose email | retained, late     | ! stale
second factor with another way | choose email | retained, no budget | ! too_many_codes
second factor with another way | choose email | retained, no new codes | ! no_more_codes
second factor with another way | choose email | retained, cooling, email sent | ! too_soon
second factor with another way | choose sms  | retained            | ! not_offered
second factor with another way | choose passkey | passkey listed   | idle
second factor with another way | choose password | password listed | idle
rejected sign-in       | confirm_account     |                     | awaiting_confirmation
rejected sign-in       | confirm_account     | late                | ! stale
idle                   | confirm_account     |                     | ! not_allowed

# ── outcomes: accepted, through the junction ──
checking_password      | code is asked       |                     | awaiting_mfa
checking_password      | a choice is asked   |                     | password_verified
checking_password      | a choice is asked   | preselected         | requesting_challenge
checking_password      | a choice is asked   | preselected, no budget | password_verified
checking_password      | a choice is asked   | preselected other   | password_verified
checking_password      | first factor is asked |                   | choosing_first_factor
checking_password      | set-up is asked     |                     | password_verified
checking_password      | totp set-up is asked |                    | setting_up_totp
checking_password      | new password is asked |                   | awaiting_new_password
checking_password      | tokens              |                     | authenticated
checking_password      | tokens              | vault               | authenticated
checking_password      | tokens for a new device |                 | authenticated
checking_password      | tokens for a new device | vault           | registering_device
checking_password      | device is asked     | vault, device       | checking_device
checking_password      | device is asked     |                     | failed
checking_password      | device is asked     | device              | failed
checking_password      | device is asked     | vault               | failed
checking_password      | unknown is asked    |                     | failed: unknown_challenge
checking_password      | offer is asked      |                     | failed: unknown_challenge
requesting_challenge   | code is asked       |                     | awaiting_mfa
requesting_challenge   | password is asked   |                     | awaiting_password
requesting_challenge   | passkey is asked    |                     | awaiting_passkey
sending a recovery code | reset is asked     |                     | awaiting_reset
asking a provider      | provider is asked   |                     | awaiting_provider
creating_account       | confirmation is asked |                   | awaiting_confirmation: sign_up_sent
creating_account       | confirmation is asked | reveals           | awaiting_confirmation: None
creating_account       | confirmed           |                     | idle: confirmed
creating_account       | confirmed           | password            | checking_password
exchanging_code        | tokens              |                     | authenticated
requesting_challenge   | answer is asked     |                     | awaiting_answer
checking_answer        | tokens              |                     | authenticated
checking_answer        | answer is asked     |                     | awaiting_answer
checking_answer        | confirmed           | password            | idle
checking a recovery code | confirmed         |                     | idle
checking a recovery code | confirmed         | password            | checking_password
checking a recovery code | confirmed         | password, no budget | idle
checking_answer        | tokens              | password            | authenticated
checking_answer        | code is asked       | password            | awaiting_mfa
setting_password       | code is asked       |                     | awaiting_mfa
resetting              | confirmed           | password            | checking_password
setting_password       | confirmed           | password            | idle
checking_password      | confirmed           | password            | idle
checking_device        | tokens              |                     | authenticated
checking_device        | code is asked       |                     | awaiting_mfa
checking_device        | device is asked     | vault, device       | failed
checking a recovery code | not_sent          | password            | awaiting_confirmation

# ── outcomes: rejected ──
checking_password      | device_forgotten    | device              | checking_password
checking_password      | device_forgotten    |                     | failed
checking_password      | firewall            | device              | failed
requesting_challenge   | device_forgotten    | device              | requesting_challenge
requesting_challenge   | device_forgotten    |                     | failed
requesting_challenge   | firewall            | device              | failed
checking_answer        | device_forgotten    | device              | checking_answer
checking_answer        | device_forgotten    |                     | failed
checking_answer        | firewall            | device              | failed
setting_password       | device_forgotten    | device              | setting_password
setting_password       | device_forgotten    |                     | failed
setting_password       | firewall            | device              | failed
checking_device        | device_forgotten    | password            | checking_password
checking_device        | device_forgotten    |                     | idle
checking_device        | wrong_credentials   | password            | idle
checking_device        | firewall            | password            | failed
checking_device        | trigger_refused     | password            | failed
checking_device        | misconfigured       | password            | failed
checking_device        | locked              | password            | idle
checking_device        | challenge_dead      | password            | idle
checking_password      | sign_up_not_confirmed |                   | idle: wrong_credentials
checking_password      | password_reset_required |                 | idle: wrong_credentials
requesting_challenge   | sign_up_not_confirmed |                   | idle: answer_refused
requesting_challenge   | wrong_credentials   |                     | idle: answer_refused
sending a recovery code | sign_up_not_confirmed |                  | awaiting_reset
sending a recovery code | wrong_credentials |                      | awaiting_reset
sending a recovery code | factor_unusable   |                      | awaiting_reset: None
checking_answer        | sign_up_not_confirmed |                   | awaiting_confirmation
checking_answer        | password_reset_required |                 | awaiting_reset
setting_password       | password_reset_required |                 | awaiting_reset
checking_password      | wrong_credentials   |                     | idle
checking_password      | locked              |                     | idle
checking_password      | challenge_dead      |                     | idle
checking_password      | wrong_code          |                     | failed
checking_password      | refused             |                     | failed: refused
checking_password      | blocked             |                     | failed: blocked
checking_password      | second_factor_missing |                   | failed: second_factor_missing
checking_password      | misconfigured       |                     | failed
requesting_challenge   | factor_unusable     |                     | password_verified
requesting_challenge   | factor_unusable     | one factor          | failed
requesting_challenge   | input_refused       |                     | failed: refused
requesting_challenge   | locked              |                     | idle
requesting an email    | input_refused       |                     | setting_up_email: input_refused
requesting an email    | input_refused       | not an email        | failed: refused
requesting_challenge   | challenge_dead      |                     | idle
requesting_challenge   | wrong_code          |                     | failed
requesting_challenge   | trigger_refused     |                     | failed
sending a recovery code | locked             |                     | awaiting_reset
sending a recovery code | trigger_refused    |                     | awaiting_reset: None
checking a recovery code | code_expired      |                     | awaiting_confirmation
checking a recovery code | trigger_refused   |                     | failed
checking a recovery code | refused           |                     | awaiting_confirmation: recovery_refused
sending a recovery code | blocked            |                     | failed: blocked
sending a recovery code | administrator_must_act |                 | awaiting_reset: None
resetting              | code_expired        |                     | awaiting_reset
resetting              | trigger_refused     |                     | failed
checking_answer        | wrong_code          |                     | awaiting_mfa
checking_answer        | code_already_used   |                     | awaiting_mfa
checking_answer        | wrong_code          | last attempt        | failed: too_many_wrong_codes
checking_answer        | code_already_used   | last attempt        | awaiting_mfa
checking_answer        | locked              |                     | awaiting_mfa: locked
checking_answer        | locked              | last attempt        | awaiting_mfa
checking_answer        | refused             |                     | failed: refused
checking_answer        | blocked             |                     | failed: blocked
checking_answer        | input_refused       |                     | failed: refused
checking_answer        | code_expired        |                     | idle
checking_answer        | wrong_credentials   |                     | idle
checking_answer        | trigger_refused     |                     | failed
setting_password       | wrong_code          |                     | awaiting_new_password
setting_password       | wrong_code          | last attempt        | failed: too_many_wrong_answers
setting_password       | new_password_refused |                    | awaiting_new_password
setting_password       | input_refused       |                     | awaiting_new_password: input_refused
setting_password       | challenge_dead      |                     | idle
setting_password       | administrator_must_act |                  | failed
creating_account       | username_taken      |                     | awaiting_confirmation: sign_up_sent
creating_account       | username_taken      | reveals             | signing_up: username_taken
creating_account       | input_refused       |                     | signing_up: input_refused
creating_account       | new_password_refused |                    | signing_up: new_password_refused
creating_account       | trigger_refused     |                     | signing_up: sign_up_refused
creating_account       | firewall            |                     | failed
asking a provider      | misconfigured       |                     | failed: misconfigured
exchanging_code        | challenge_dead      |                     | idle: provider_failed
exchanging_code        | wrong_credentials   |                     | idle: provider_failed
exchanging_code        | misconfigured       |                     | failed: misconfigured
registering_device     | misconfigured       |                     | authenticated
remembering_device     | misconfigured       |                     | authenticated

# ── outcomes: devices ──
registering_device     | registered, asks    |                     | offering_device
registering_device     | registered, asks    | wanted              | remembering_device
registering_device     | registered, asks    | not wanted          | authenticated
registering_device     | registered          |                     | authenticated
registering_device     | registered          | wanted              | authenticated
remembering_device     | remembered          |                     | authenticated

# ── outcomes: not sent, unknown ──
checking_password      | not_sent            |                     | idle
checking_password      | not_sent            | password            | idle
requesting_challenge   | not_sent            |                     | password_verified
checking_answer        | not_sent            |                     | awaiting_mfa
setting_password       | not_sent            |                     | awaiting_new_password
checking_device        | not_sent            |                     | idle
registering_device     | not_sent            |                     | authenticated
remembering_device     | not_sent            |                     | authenticated
creating_account       | not_sent            |                     | signing_up: throttled
exchanging_code        | not_sent            |                     | awaiting_provider: throttled
sending a recovery code | not_sent           |                     | awaiting_reset: throttled
creating_account       | unknown             |                     | awaiting_confirmation: sign_up_outcome_unknown
sending a recovery code | unknown            |                     | awaiting_reset: recovery_outcome_unknown
exchanging_code        | unknown             |                     | idle: answer_outcome_unknown
checking_password      | unknown             |                     | idle
requesting_challenge   | unknown             |                     | idle
checking_answer        | unknown             |                     | idle
setting_password       | unknown             |                     | idle
checking_device        | unknown             |                     | idle
registering_device     | unknown             |                     | authenticated
remembering_device     | unknown             |                     | authenticated

# ── time ──
checking_password      | time_passed         | due                 | idle
checking_password      | time_passed         |                     | ! in_flight
requesting_challenge   | time_passed         | due                 | idle
requesting_challenge   | time_passed         |                     | ! in_flight
checking_answer        | time_passed         | due                 | idle
checking_answer        | time_passed         |                     | ! in_flight
creating_account       | time_passed         | due                 | awaiting_confirmation
creating_account       | time_passed         |                     | ! in_flight
sending a recovery code | time_passed        | due                 | awaiting_reset
sending a recovery code | time_passed        |                     | ! in_flight
exchanging_code        | time_passed         | due                 | idle
exchanging_code        | time_passed         |                     | ! in_flight
signing_up             | time_passed         | due                 | idle
signing_up             | time_passed         |                     | ! not_allowed
awaiting_provider      | time_passed         | due                 | idle
awaiting_provider      | time_passed         |                     | ! not_allowed
setting_password       | time_passed         | due                 | idle
setting_password       | time_passed         |                     | ! in_flight
checking_device        | time_passed         | due                 | idle
checking_device        | time_passed         |                     | ! in_flight
registering_device     | time_passed         | due                 | idle
registering_device     | time_passed         |                     | ! in_flight
registering_device     | time_passed         | due, session        | authenticated
registering_device     | time_passed         | session             | ! in_flight
remembering_device     | time_passed         | due                 | authenticated
remembering unasked    | time_passed         | due                 | idle
remembering_device     | time_passed         |                     | ! in_flight
remembering unasked    | time_passed         | due, session        | authenticated
remembering_device     | time_passed         | session             | ! in_flight
offering_device        | time_passed         | due                 | authenticated
offering_device        | time_passed         |                     | ! not_allowed
password_verified      | time_passed         | due                 | idle
password_verified      | time_passed         |                     | ! not_allowed
choosing_first_factor  | time_passed         | due                 | idle
choosing_first_factor  | time_passed         |                     | ! not_allowed
awaiting_password      | time_passed         | due                 | idle
awaiting_password      | time_passed         |                     | ! not_allowed
awaiting_mfa           | time_passed         | due                 | idle
awaiting_mfa           | time_passed         |                     | ! not_allowed
setting_up_totp        | time_passed         | due                 | idle
setting_up_totp        | time_passed         |                     | ! not_allowed
setting_up_email       | time_passed         | due                 | idle
setting_up_email       | time_passed         |                     | ! not_allowed
awaiting_passkey       | time_passed         | due                 | idle
awaiting_passkey       | time_passed         |                     | ! not_allowed
awaiting_answer        | time_passed         | due                 | idle
awaiting_answer        | time_passed         |                     | ! not_allowed
awaiting_confirmation  | time_passed         | due                 | idle
awaiting_confirmation  | time_passed         |                     | ! not_allowed
awaiting_new_password  | time_passed         | due                 | idle
awaiting_new_password  | time_passed         |                     | ! not_allowed
awaiting_reset         | time_passed         | due                 | idle
awaiting_reset         | time_passed         |                     | ! not_allowed
"""


class Situation(NamedTuple):
    """Everything that `advance` is given."""

    flow: Flow
    inputs: GuardInputs = GuardInputs(tokens=INPUTS.tokens)
    lateness: int = 0
    now: float = NOW
    policy: Policy = POLICY


def _flow(**fields: Any) -> Callable[[Situation], Situation]:
    return lambda it: it._replace(flow=it.flow.model_copy(update=fields))


def _inputs(**fields: Any) -> Callable[[Situation], Situation]:
    return lambda it: it._replace(inputs=it.inputs._replace(**fields))


def _policy(**fields: Any) -> Callable[[Situation], Situation]:
    return lambda it: it._replace(policy=it.policy._replace(**fields))


def _listed(factor: Factor) -> Callable[[Situation], Situation]:
    def change(it: Situation) -> Situation:
        challenge = it.flow.challenge
        assert challenge is not None
        more = challenge.model_copy(update={"available": (*challenge.choices, factor)})
        return it._replace(flow=it.flow.model_copy(update={"challenge": more}))

    return change


def _only(factor: Factor) -> Callable[[Situation], Situation]:
    def change(it: Situation) -> Situation:
        challenge = it.flow.challenge
        assert challenge is not None
        only = challenge.model_copy(update={"factors": (factor,)})
        return it._replace(flow=it.flow.model_copy(update={"challenge": only}))

    return change


GIVEN: dict[str, Callable[[Situation], Situation]] = {
    "late": lambda it: it._replace(lateness=1),
    "early": lambda it: it._replace(lateness=-1),
    "due": lambda it: it._replace(now=NOW + 1e6),
    "passwordless": _flow(is_passwordless=True),
    "username": _flow(username="ana"),
    "attempted": _flow(attempted_digests=(DIGEST,)),
    "cooling": _flow(new_code_at=NOW + 1),
    "text sent": _flow(sent_factors=(Factor.SMS_OTP,)),
    "email sent": _flow(sent_factors=(Factor.EMAIL,)),
    "no new codes": _flow(new_codes_left=0),
    "retained": _flow(retained_password=SecretStr("p")),
    "preselected": _flow(preselected_factor=Factor.SMS),
    "preselected other": _flow(preselected_factor=Factor.PASSKEY),
    "device": _flow(device_key=KEY),
    "wanted": _flow(remember_device=True),
    "not wanted": _flow(remember_device=False),
    "last attempt": _flow(attempts_left=1),
    "session": _flow(session_id="the session"),
    "not offered": _only(Factor.PASSKEY),
    "one factor": _only(Factor.SMS),
    "not an email": _flow(factor=Factor.TOTP),
    "no username": _flow(username=""),
    "not offered at all": _policy(ways_in=WaysIn(password_reset=False)),
    "no password asked": _policy(ways_in=WaysIn(sign_up=SignUpForm(password="none"))),
    "reveals": _policy(reveal_existing_users=True),
    "passkey listed": _listed(Factor.PASSKEY),
    "password listed": _listed(Factor.PASSWORD),
    "no budget": _inputs(budget_remains=False),
    "no guesses": _inputs(guesses_remain=False),
    "vault": _inputs(has_vault=True, device_key=KEY),
    "password": _inputs(password=SecretStr("p")),
}


class Row(NamedTuple):
    state: str
    trigger: str
    given: tuple[str, ...]
    expected: str


def rows() -> Iterator[Row]:
    for line in TABLE.splitlines():
        if line and not line.startswith("#"):
            state, trigger, given, expected = (cell.strip() for cell in line.split("|"))
            yield Row(state, trigger, tuple(given.split(", ")) if given else (), expected)


ROWS = list(rows())


def result(row: Row) -> str:
    """What the machine does in the situation of a row, in the words of the table."""
    it = Situation(FLOWS[row.state])
    for name in row.given:
        it = GIVEN[name](it)
    try:
        flow = advance(
            it.flow,
            TRIGGERS[row.trigger],
            now=it.now,
            expected_version=it.flow.version - it.lateness,
            digest=DIGEST,
            policy=it.policy,
            inputs=it.inputs,
        )
    except NotAllowed as no:
        return f"! {no.reason}"
    return f"{flow.state}: {flow.message}" if ": " in row.expected else flow.state.value


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: " ".join((row.state, row.trigger, *row.given))
)
def test_row(row: Row) -> None:
    assert result(row) == row.expected


def test_every_row_is_there_once() -> None:
    situations = [row[:3] for row in ROWS]
    assert len(situations) == len(set(situations))


# ── the table notices every transition and every guard ──


class Recorded(NamedTuple):
    """The rows that take a transition, by the transition's identity."""

    source: Any
    event: str | None
    position: int


def transitions() -> Iterator[tuple[Recorded, Any]]:
    for state in FlowState:
        for event in [None, *sorted({str(event) for event in SignInMachine._events})]:
            for position, transition in enumerate(CHART.transitions(state, event)):
                yield Recorded(state, event, position), transition


class Without(CompiledChart[SignInMachine]):
    """The chart with one transition changed, or removed."""

    def __init__(self, where: Recorded, change: Callable[[Any], Any]) -> None:
        super().__init__(SignInMachine)
        rows: Mapping[Any, Mapping[str | None, tuple[Any, ...]]] = self._rows
        source = dict(rows[where.source])
        row = list(source[where.event])
        changed = change(row[where.position])
        row[where.position : where.position + 1] = [] if changed is None else [changed]
        source[where.event] = tuple(row)
        self._rows = {**rows, where.source: source}


def noticed(chart: CompiledChart[SignInMachine], patch: pytest.MonkeyPatch) -> list[Row]:
    """The rows whose result is another one with another chart."""
    patch.setattr(advance_module, "CHART", chart)
    patch.setattr(advance_module, "USES_LIBRARY_ENGINE", False)  # only the table is changed
    found = []
    for row in ROWS:
        try:
            differs = result(row) != row.expected
        except (AssertionError, KeyError, TypeError):
            differs = True  # an effect met what it is never meant to meet
        if differs:
            found.append(row)
    return found


TAKEN = [(where, transition) for where, transition in transitions()]
GUARDED = [
    (where, index, name)
    for where, transition in TAKEN
    for index, name in enumerate(transition.guards)
]


@pytest.mark.parametrize(
    ("where", "transition"), TAKEN, ids=[f"{w.source}-{w.event}-{w.position}" for w, _ in TAKEN]
)
def test_removed_transition_is_noticed(
    where: Recorded, transition: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert noticed(Without(where, lambda _: None), monkeypatch), transition


@pytest.mark.parametrize(
    ("where", "index", "name"),
    GUARDED,
    ids=[f"{w.source}-{w.event}-{w.position}-{n}" for w, _, n in GUARDED],
)
def test_guard_removed_from_one_transition_is_noticed(
    where: Recorded, index: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unguarded(transition: Any) -> Any:
        kept = [at for at in range(len(transition.guards)) if at != index]
        return transition._replace(
            guards=tuple(transition.guards[at] for at in kept),
            conditions=tuple(transition.conditions[at] for at in kept),
        )

    assert noticed(Without(where, unguarded), monkeypatch), f"{where} without {name}"
