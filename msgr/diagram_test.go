package msgr

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// edges returns the changes of state that the table's steps make, over policies and
// what a session may have: from and to, with the events. Those that may come in any
// state and end it are left out.
func edges() map[[2]state][]string {
	out := map[[2]state][]string{}
	for st := range numStates {
		for k := range numEvents {
			if k == evMarkDown || k == evReplaced || table[st][k] == hViolation {
				continue
			}
			for _, p := range []Policy{LossyClient(), StatelessRegisteredServer(), LosslessClient(), StatefulServer(), LosslessPeer()} {
				for variant := range 4 {
					s := sampleSession(st, p)
					if variant&1 != 0 {
						s.clientCookie, s.serverCookie = 3, 4
					}
					if variant&2 != 0 {
						s.queue.push(&Message{Type: 1})
					}
					s.step(sampleEvent(k), &effects{})
					e := [2]state{st, s.state}
					if st != s.state && !slices.Contains(out[e], k.String()) {
						out[e] = append(out[e], k.String())
					}
				}
			}
		}
	}
	return out
}

func diagram() string {
	id := func(s state) string { return strings.ReplaceAll(s.String(), "-", "_") }
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n    [*] --> idle\n    closed --> [*]\n")
	for st := range numStates {
		if strings.Contains(st.String(), "-") {
			fmt.Fprintf(&b, "    state \"%v\" as %s\n", st, id(st))
		}
	}
	all := edges()
	for from := range numStates {
		for to := range numStates {
			if events := all[[2]state{from, to}]; events != nil {
				fmt.Fprintf(&b, "    %s --> %s: %s\n", id(from), id(to), strings.Join(events, ", "))
			}
		}
	}
	b.WriteString("```\n")
	return b.String()
}

// TestDiagram keeps the diagram of the session in the documentation equal to what
// the table does.
func TestDiagram(t *testing.T) {
	const file, begin, end = "../docs/messenger.md", "<!-- diagram of the session: go test ./msgr -run TestDiagram -update -->\n", "<!-- end of the diagram -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the diagram", file)
	}
	want := diagram()
	if *update {
		if err := os.WriteFile(file, []byte(head+begin+want+end+tail), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != want {
		t.Errorf("the diagram in %s is not what the table does; run go test ./msgr -run TestDiagram -update", file)
	}
}
