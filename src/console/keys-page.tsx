/** The page /console/keys. */

import { render } from "preact";
import { KeysScreen } from "./screens/keys.tsx";

render(<KeysScreen />, document.body);
