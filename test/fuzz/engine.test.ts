import { testModels } from './fixed-runs.js';
import { ENGINE_MODELS } from './models.js';

// With the connections that a run makes, 200 sequences of each model.
testModels(ENGINE_MODELS, () => 25);
