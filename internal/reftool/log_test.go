package reftool

import "testing"

// What a client logs by chance is dropped, and what it answers stays.
func TestWithoutLog(t *testing.T) {
	const said = "invalid pgid\n" +
		"2026-11-21T13:50:04.062+0000 7fbbccf5c6c0  0 --2- 127.0.0.1:0/26 >> v2:127.0.0.1:6812/30 conn(0x7f unknown :-1 s=AUTH_CONNECTING).send_auth_request get_initial_auth_request returned -13\n" +
		"2026-11-21T13:50:04.062+0000 7fbbccf5c6c0 -1 monclient: get_auth_request but no auth handler is set up\n" +
		"error: 2026-11-21T13:50:04.062+0000 is late\n"
	const want = "invalid pgid\nerror: 2026-11-21T13:50:04.062+0000 is late\n"
	if got := WithoutLog(said); got != want {
		t.Errorf("left %q, want %q", got, want)
	}
}
